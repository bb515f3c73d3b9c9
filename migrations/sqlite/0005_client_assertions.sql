-- Client assertions that were used, by the hash of their jti: each works once, at whichever node (RFC 7523 §3). `expires_at` is
-- when the assertion is refused anyway. No foreign key: the rows of a deleted client still count if it comes back.
CREATE TABLE client_assertions (
    client_id TEXT NOT NULL,
    jti_hash BLOB NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (client_id, jti_hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX client_assertions_expiry ON client_assertions (expires_at);

-- Clients that register themselves (RFC 7591) manage their registration with a token of their own, kept as a hash, and are deleted
-- if they obtain no token until `unused_until`; the first token takes that away. `registration_tokens` are what an operator hands
-- to those who may register: each works so many times, until it expires.

ALTER TABLE clients ADD COLUMN registration_token_hash BLOB;
ALTER TABLE clients ADD COLUMN unused_until INTEGER;
CREATE INDEX clients_unused ON clients (unused_until) WHERE unused_until IS NOT NULL;

CREATE TABLE registration_tokens (
    id BLOB PRIMARY KEY NOT NULL,
    hash BLOB NOT NULL UNIQUE,
    uses_left INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX registration_tokens_expiry ON registration_tokens (expires_at);

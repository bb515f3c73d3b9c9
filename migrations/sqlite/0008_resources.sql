-- Resources (RFC 8707), where the operator says more of them than their URIs: what their access tokens carry, how long these live
-- (in seconds) and what signs them. What is null has the default.

CREATE TABLE resources (
    uri TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    scope TEXT,
    access_token_ttl INTEGER,
    access_token_signing_alg TEXT,
    claims TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    disabled_at INTEGER,
    declared_in TEXT
) STRICT;

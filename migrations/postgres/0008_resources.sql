-- Resources (RFC 8707), where the operator says more of them than their URIs: what their access tokens carry, how long these live
-- (in seconds) and what signs them. What is null has the default.

CREATE TABLE resources (
    uri TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    scope TEXT,
    access_token_ttl BIGINT,
    access_token_signing_alg TEXT,
    claims JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    disabled_at TIMESTAMPTZ,
    declared_in TEXT
);

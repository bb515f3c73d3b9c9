-- Clients that register themselves (RFC 7591) manage their registration with a token of their own, kept as a hash, and are deleted
-- if they obtain no token until `unused_until`; the first token takes that away. `registration_tokens` are what an operator hands
-- to those who may register: each works so many times, until it expires.

ALTER TABLE clients ADD COLUMN registration_token_hash BYTEA;
ALTER TABLE clients ADD COLUMN unused_until TIMESTAMPTZ;
CREATE INDEX clients_unused ON clients (unused_until) WHERE unused_until IS NOT NULL;

CREATE TABLE registration_tokens (
    id UUID PRIMARY KEY,
    hash BYTEA NOT NULL UNIQUE,
    uses_left BIGINT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX registration_tokens_expiry ON registration_tokens (expires_at);

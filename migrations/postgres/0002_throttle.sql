-- How often someone failed to sign in: to an account from a network, to an account from anywhere (no network), from a network
-- to any account (no account). Both are HMACs. Each failure moves `expires_at` on; when it has passed, all are forgotten.
CREATE TABLE throttles (
    account BYTEA NOT NULL,
    network BYTEA NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (account, network)
);
CREATE INDEX throttles_expiry ON throttles (expires_at);

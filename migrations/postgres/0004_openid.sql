-- What OpenID Connect adds. `metadata` holds the members of a client that are never searched by. A client of `client_secret_jwt`
-- keeps its secret sealed beside the hash, because it keys a MAC. A code may do without a `code_challenge` (clients whose `pkce`
-- says so), and `sid` is the session at which it was issued, also where what it obtains outlives that.

ALTER TABLE clients ADD COLUMN metadata JSONB NOT NULL DEFAULT '{}';
ALTER TABLE client_secrets ADD COLUMN sealed BYTEA;

ALTER TABLE people ADD COLUMN groups JSONB NOT NULL DEFAULT '[]';
ALTER TABLE people ADD COLUMN claims JSONB NOT NULL DEFAULT '{}';
ALTER TABLE people ADD COLUMN updated_at TIMESTAMPTZ;

ALTER TABLE authorization_codes ALTER COLUMN code_challenge DROP NOT NULL;
ALTER TABLE authorization_codes ADD COLUMN nonce TEXT;
ALTER TABLE authorization_codes ADD COLUMN claims_request JSONB;
ALTER TABLE authorization_codes ADD COLUMN sid UUID;

ALTER TABLE grants ADD COLUMN claims_request JSONB;
ALTER TABLE grants ADD COLUMN sid UUID;

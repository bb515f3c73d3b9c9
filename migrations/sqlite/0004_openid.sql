-- What OpenID Connect adds. `metadata` holds the members of a client that are never searched by. A client of `client_secret_jwt`
-- keeps its secret sealed beside the hash, because it keys a MAC. A code may do without a `code_challenge` (clients whose `pkce`
-- says so), and `sid` is the session at which it was issued, also where what it obtains outlives that.

ALTER TABLE clients ADD COLUMN metadata TEXT NOT NULL DEFAULT '{}';
ALTER TABLE client_secrets ADD COLUMN sealed BLOB;

ALTER TABLE people ADD COLUMN groups TEXT NOT NULL DEFAULT '[]';
ALTER TABLE people ADD COLUMN claims TEXT NOT NULL DEFAULT '{}';
ALTER TABLE people ADD COLUMN updated_at INTEGER;

-- SQLite cannot take NOT NULL from a column: a new column takes the place of the old one.
ALTER TABLE authorization_codes ADD COLUMN challenge TEXT;
UPDATE authorization_codes SET challenge = code_challenge;
ALTER TABLE authorization_codes DROP COLUMN code_challenge;
ALTER TABLE authorization_codes RENAME COLUMN challenge TO code_challenge;
ALTER TABLE authorization_codes ADD COLUMN nonce TEXT;
ALTER TABLE authorization_codes ADD COLUMN claims_request TEXT;
ALTER TABLE authorization_codes ADD COLUMN sid BLOB;

ALTER TABLE grants ADD COLUMN claims_request TEXT;
ALTER TABLE grants ADD COLUMN sid BLOB;

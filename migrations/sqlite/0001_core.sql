-- Times are microseconds since the epoch; ids are 16 bytes; lists are JSON. No foreign keys on the hot tables:
-- the verbs that delete a person or client delete what belongs to it.

CREATE TABLE settings (
    name TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
) STRICT;

CREATE TABLE people (
    id BLOB PRIMARY KEY NOT NULL,
    email TEXT NOT NULL,
    email_key TEXT NOT NULL UNIQUE,
    email_verified_at INTEGER,
    name TEXT,
    roles TEXT NOT NULL,
    password_hash TEXT,
    created_at INTEGER NOT NULL,
    disabled_at INTEGER,
    tokens_not_before INTEGER
) STRICT;

CREATE TABLE clients (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    client_type TEXT NOT NULL,
    application_type TEXT NOT NULL,
    redirect_uris TEXT NOT NULL,
    grant_types TEXT NOT NULL,
    scope TEXT NOT NULL,
    resources TEXT NOT NULL,
    introspects TEXT NOT NULL,
    first_party_at INTEGER,
    trust TEXT NOT NULL,
    refresh_rotation TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    disabled_at INTEGER,
    tokens_not_before INTEGER
) STRICT;

CREATE TABLE client_secrets (
    id BLOB PRIMARY KEY NOT NULL,
    client_id TEXT NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    hash BLOB NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX client_secrets_of_client ON client_secrets (client_id);

CREATE TABLE consents (
    person_id BLOB NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    client_id TEXT NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    scope TEXT NOT NULL,
    resources TEXT NOT NULL,
    given_at INTEGER NOT NULL,
    PRIMARY KEY (person_id, client_id)
) STRICT;

CREATE TABLE authorization_requests (
    id BLOB PRIMARY KEY NOT NULL,
    params TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX authorization_requests_expiry ON authorization_requests (expires_at);

CREATE TABLE authorization_codes (
    hash BLOB PRIMARY KEY NOT NULL,
    person_id BLOB NOT NULL,
    client_id TEXT NOT NULL,
    -- The browser session that it ends with; none with offline_access.
    session_id BLOB,
    scope TEXT NOT NULL,
    resources TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    code_challenge TEXT NOT NULL,
    auth_time INTEGER NOT NULL,
    amr TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX authorization_codes_expiry ON authorization_codes (expires_at);

-- One row for everything that one code obtained. Refreshing updates `generation` and `last_used_at` in place.
CREATE TABLE grants (
    id BLOB PRIMARY KEY NOT NULL,
    person_id BLOB NOT NULL,
    client_id TEXT NOT NULL,
    -- The browser session that it ends with; none with offline_access.
    session_id BLOB,
    scope TEXT NOT NULL,
    resources TEXT NOT NULL,
    code_hash BLOB NOT NULL UNIQUE,
    auth_time INTEGER NOT NULL,
    amr TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT;
CREATE INDEX grants_of_person ON grants (person_id, client_id);
CREATE INDEX grants_of_session ON grants (session_id);
CREATE INDEX grants_expiry ON grants (expires_at);

CREATE TABLE revoked_tokens (
    jti BLOB PRIMARY KEY NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX revoked_tokens_expiry ON revoked_tokens (expires_at);

CREATE TABLE browser_sessions (
    id_hash BLOB PRIMARY KEY NOT NULL,
    id BLOB NOT NULL UNIQUE,
    person_id BLOB NOT NULL,
    auth_time INTEGER NOT NULL,
    amr TEXT NOT NULL,
    address TEXT,
    user_agent TEXT,
    created_at INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX browser_sessions_of_person ON browser_sessions (person_id);
CREATE INDEX browser_sessions_expiry ON browser_sessions (expires_at);

CREATE TABLE keys (
    kid TEXT PRIMARY KEY NOT NULL,
    purpose TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    public_jwk TEXT,
    sealed BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    published_at INTEGER NOT NULL,
    signs_from INTEGER NOT NULL,
    signs_until INTEGER,
    removed_at INTEGER
) STRICT;

CREATE TABLE jobs (
    name TEXT PRIMARY KEY NOT NULL,
    leased_by BLOB,
    leased_until INTEGER,
    last_run_at INTEGER
) STRICT;

CREATE TABLE audit_events (
    id BLOB PRIMARY KEY NOT NULL,
    at INTEGER NOT NULL,
    name TEXT NOT NULL,
    actor TEXT NOT NULL,
    subject BLOB,
    client_id TEXT,
    grant_id BLOB,
    address TEXT,
    request_id BLOB,
    details TEXT NOT NULL
) STRICT;
CREATE INDEX audit_events_by_time ON audit_events (at);

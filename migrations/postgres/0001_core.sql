-- Hot tables carry no foreign keys to people and clients: the check would lock and rewrite the referenced
-- row at every insert. The verbs that delete a person or client delete what belongs to it.

CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE people (
    id UUID PRIMARY KEY,
    email TEXT NOT NULL,
    email_key TEXT NOT NULL UNIQUE,
    email_verified_at TIMESTAMPTZ,
    name TEXT,
    roles JSONB NOT NULL,
    password_hash TEXT,
    created_at TIMESTAMPTZ NOT NULL,
    disabled_at TIMESTAMPTZ,
    tokens_not_before TIMESTAMPTZ
);

CREATE TABLE clients (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    client_type TEXT NOT NULL,
    application_type TEXT NOT NULL,
    redirect_uris JSONB NOT NULL,
    grant_types JSONB NOT NULL,
    scope TEXT NOT NULL,
    resources JSONB NOT NULL,
    introspects JSONB NOT NULL,
    first_party_at TIMESTAMPTZ,
    trust TEXT NOT NULL,
    refresh_rotation TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    disabled_at TIMESTAMPTZ,
    tokens_not_before TIMESTAMPTZ
);

CREATE TABLE client_secrets (
    id UUID PRIMARY KEY,
    client_id TEXT NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    hash BYTEA NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX client_secrets_of_client ON client_secrets (client_id);

CREATE TABLE consents (
    person_id UUID NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    client_id TEXT NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    scope TEXT NOT NULL,
    resources JSONB NOT NULL,
    given_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (person_id, client_id)
);

CREATE TABLE authorization_requests (
    id UUID PRIMARY KEY,
    params JSONB NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX authorization_requests_expiry ON authorization_requests (expires_at);

CREATE TABLE authorization_codes (
    hash BYTEA PRIMARY KEY,
    person_id UUID NOT NULL,
    client_id TEXT NOT NULL,
    -- The browser session that it ends with; none with offline_access.
    session_id UUID,
    scope TEXT NOT NULL,
    resources JSONB NOT NULL,
    redirect_uri TEXT NOT NULL,
    code_challenge TEXT NOT NULL,
    auth_time TIMESTAMPTZ NOT NULL,
    amr JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX authorization_codes_expiry ON authorization_codes (expires_at);

-- One row for everything that one code obtained. Refreshing updates `generation` and `last_used_at` in place;
-- neither is indexed and pages keep room, so that these updates stay heap-only.
CREATE TABLE grants (
    id UUID PRIMARY KEY,
    person_id UUID NOT NULL,
    client_id TEXT NOT NULL,
    -- The browser session that it ends with; none with offline_access.
    session_id UUID,
    scope TEXT NOT NULL,
    resources JSONB NOT NULL,
    code_hash BYTEA NOT NULL UNIQUE,
    auth_time TIMESTAMPTZ NOT NULL,
    amr JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    generation BIGINT NOT NULL,
    last_used_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    revoked_at TIMESTAMPTZ
) WITH (fillfactor = 70);
CREATE INDEX grants_of_person ON grants (person_id, client_id);
CREATE INDEX grants_of_session ON grants (session_id);
CREATE INDEX grants_expiry ON grants (expires_at);

CREATE TABLE revoked_tokens (
    jti UUID PRIMARY KEY,
    expires_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX revoked_tokens_expiry ON revoked_tokens (expires_at);

CREATE TABLE browser_sessions (
    id_hash BYTEA PRIMARY KEY,
    id UUID NOT NULL UNIQUE,
    person_id UUID NOT NULL,
    auth_time TIMESTAMPTZ NOT NULL,
    amr JSONB NOT NULL,
    address TEXT,
    user_agent TEXT,
    created_at TIMESTAMPTZ NOT NULL,
    last_seen_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX browser_sessions_of_person ON browser_sessions (person_id);
CREATE INDEX browser_sessions_expiry ON browser_sessions (expires_at);

CREATE TABLE keys (
    kid TEXT PRIMARY KEY,
    purpose TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    public_jwk JSONB,
    sealed BYTEA NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    published_at TIMESTAMPTZ NOT NULL,
    signs_from TIMESTAMPTZ NOT NULL,
    signs_until TIMESTAMPTZ,
    removed_at TIMESTAMPTZ
);

CREATE TABLE jobs (
    name TEXT PRIMARY KEY,
    leased_by UUID,
    leased_until TIMESTAMPTZ,
    last_run_at TIMESTAMPTZ
);

CREATE TABLE audit_events (
    id UUID PRIMARY KEY,
    at TIMESTAMPTZ NOT NULL,
    name TEXT NOT NULL,
    actor TEXT NOT NULL,
    subject UUID,
    client_id TEXT,
    grant_id UUID,
    address TEXT,
    request_id UUID,
    details JSONB NOT NULL
);
CREATE INDEX audit_events_by_time ON audit_events (at);

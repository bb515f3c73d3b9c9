-- The clients with a logout URI that a person is signed in to at a session. When the session ends, `ended_at` and `due_at` are set
-- in the same transaction, and the row is what is yet to be told to the client (OpenID Back-Channel Logout 1.0): whoever tells it
-- counts `attempts` and puts `due_at` off by compare-and-set, and deletes the row when it is done.

CREATE TABLE session_clients (
    session_id UUID NOT NULL,
    client_id TEXT NOT NULL,
    person_id UUID NOT NULL,
    ended_at TIMESTAMPTZ,
    due_at TIMESTAMPTZ,
    attempts BIGINT NOT NULL DEFAULT 0,
    expires_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (session_id, client_id)
);
CREATE INDEX session_clients_of_person ON session_clients (person_id);
CREATE INDEX session_clients_due ON session_clients (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX session_clients_expiry ON session_clients (expires_at);

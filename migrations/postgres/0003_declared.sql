-- What a file declares carries the name of that file, and is changed there. The secrets of a client that a file gives carry when
-- it did: beside them the command line makes none.

ALTER TABLE clients ADD COLUMN declared_in TEXT;
ALTER TABLE people ADD COLUMN declared_in TEXT;
ALTER TABLE client_secrets ADD COLUMN declared_at TIMESTAMPTZ;

CREATE INDEX clients_declared ON clients (id) WHERE declared_in IS NOT NULL;
CREATE INDEX people_declared ON people (email_key) WHERE declared_in IS NOT NULL;

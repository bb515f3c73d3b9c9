-- The audit trail by person, client and name; and no row of it is ever changed.

CREATE INDEX audit_events_of_person ON audit_events (subject, at) WHERE subject IS NOT NULL;
CREATE INDEX audit_events_of_client ON audit_events (client_id, at) WHERE client_id IS NOT NULL;
CREATE INDEX audit_events_by_name ON audit_events (name, at);

CREATE TRIGGER audit_events_are_not_changed BEFORE UPDATE ON audit_events
BEGIN
    SELECT RAISE(ABORT, 'audit_events is append-only');
END;

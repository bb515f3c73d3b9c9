-- `revision` rises with every change that an operator or the client itself makes to a client, so that a slow one of the client's
-- misses what the operator changed meanwhile.

ALTER TABLE clients ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;

-- `revision` rises with every change that an operator or the client itself makes to a client, so that a slow one of the client's
-- misses what the operator changed meanwhile. `unused_from` is a MAC of the network from which a client without a token registered.

ALTER TABLE clients ADD COLUMN revision BIGINT NOT NULL DEFAULT 0;
ALTER TABLE clients ADD COLUMN unused_from BYTEA;

-- A client's secret that another took the place of ends by itself at `ends_at`; one without it has no end.

ALTER TABLE client_secrets ADD COLUMN ends_at TIMESTAMPTZ;
CREATE INDEX client_secrets_ending ON client_secrets (ends_at) WHERE ends_at IS NOT NULL;

-- Marks a database that a copy fills and has not finished: no server starts on it. There is one row at most.
CREATE TABLE unfinished_copies (
    one BIGINT PRIMARY KEY,
    source TEXT NOT NULL,
    began_at TIMESTAMPTZ NOT NULL
);

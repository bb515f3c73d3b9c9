-- Marks a database that a copy fills and has not finished: no server starts on it. There is one row at most.
CREATE TABLE unfinished_copies (
    one INTEGER PRIMARY KEY NOT NULL,
    source TEXT NOT NULL,
    began_at INTEGER NOT NULL
) STRICT;

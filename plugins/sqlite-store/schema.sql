-- The tables of sqlite-store. Running it again changes nothing.
CREATE TABLE IF NOT EXISTS users (
    id INTEGER PRIMARY KEY,
    address TEXT NOT NULL UNIQUE COLLATE NOCASE,
    created_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE IF NOT EXISTS messages (
    id TEXT PRIMARY KEY,
    received_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    -- Empty for the null reverse-path.
    reverse_path TEXT NOT NULL,
    subject TEXT,
    size INTEGER NOT NULL
);
-- The mail data in pieces of 1 MiB, in their order.
CREATE TABLE IF NOT EXISTS pieces (
    message TEXT NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    n INTEGER NOT NULL,
    octets BLOB NOT NULL,
    PRIMARY KEY (message, n)
);
CREATE TABLE IF NOT EXISTS recipients (
    message TEXT NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    user INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    address TEXT NOT NULL,
    PRIMARY KEY (message, user, address)
);
CREATE INDEX IF NOT EXISTS recipients_of_user ON recipients (user);
CREATE INDEX IF NOT EXISTS messages_by_time ON messages (received_at);
PRAGMA user_version = 1;

//! A write that ends when nobody waits for it any more (docs/operations.md, Faults): its client was told to come back, and may.

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Executor, PgConnection, SqliteConnection};

use crate::{
    harness::{
        Backend, Database,
        over_http::{RemoteApp, RemoteBrowser, create_person, until},
        process::Process,
    },
    on_databases,
};

/// Somebody who keeps others from writing.
enum Hold {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Hold {
    async fn begin(database: &Database) -> Self {
        match database.backend {
            Backend::Sqlite => {
                let mut connection = database.sqlite().await;
                connection.execute("BEGIN IMMEDIATE").await.unwrap();
                Self::Sqlite(connection)
            }
            Backend::Postgres => {
                let mut connection = database.postgres().await;
                connection.execute(AssertSqlSafe("BEGIN; SELECT id FROM grants FOR UPDATE".to_owned())).await.unwrap();
                Self::Postgres(connection)
            }
        }
    }

    async fn end(self) {
        match self {
            Self::Sqlite(mut connection) => connection.execute("COMMIT").await.map(drop).unwrap(),
            Self::Postgres(mut connection) => connection.execute("COMMIT").await.map(drop).unwrap(),
        }
    }
}

on_databases! { [Sqlite, Postgres]
    /// OAuth 2.1 §4.3.1: the token was rotated behind its client's back, longer ago than an answer may be asked for again. While
    /// the database was late nobody could ask: it is a retry, and no theft. What comes later than that is reuse again.
    async fn a_rotation_that_ended_late_may_be_repeated(database) {
        let settings = [("GRANTOR_TOKENS__REFRESH_RETRY_WINDOW", "1s"), ("GRANTOR_LIMITS__REQUEST_TIMEOUT", "1s")];
        let server = Process::serve(database, &settings);
        let base = server.base();
        let app = RemoteApp::create(database, "app");
        create_person(database, "alice@example.com");
        let mut browser = RemoteBrowser::signed_in(&base, "alice@example.com").await;
        let token = app.tokens(&mut browser).await.refresh_token();

        let hold = Hold::begin(database).await;
        let asked = Instant::now();
        app.refresh(&base, &token).await.assert_error(503, "temporarily_unavailable");
        until("the window is over", async || asked.elapsed() > Duration::from_millis(2_500)).await;
        hold.end().await;
        until("the token was rotated all the same", async || database.count("grants WHERE generation = 1").await == 1).await;

        let late = Instant::now();
        let retried = app.refresh(&base, &token).await;
        assert!(app.is_active(&base, &retried.access_token()).await);
        assert_eq!(database.count("audit_events WHERE name = 'refresh_token.retried'").await, 1);

        until("the window is over, now that the database answers", async || late.elapsed() > Duration::from_secs(2)).await;
        app.refresh(&base, &token).await.assert_error(400, "invalid_grant");
        assert_eq!(database.count("grants WHERE revoked_at IS NOT NULL").await, 1);
    }
}

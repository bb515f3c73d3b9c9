//! Two nodes on one Postgres: neither keeps state that the other needs.

use std::collections::BTreeSet;

use futures_util::future::{join, join_all};

use crate::harness::{Answer, Backend, TestServer, browser::PASSWORD, eventually};

async fn two_nodes() -> (TestServer, TestServer) {
    let one = TestServer::start(Backend::Postgres, &[]).await;
    let other = one.another_node().await;
    (one, other)
}

async fn end(one: TestServer, other: TestServer) {
    other.close().await;
    one.end().await;
}

/// A sign-in, a consent, a code, tokens and a revocation, each at the node where the one before was not.
#[tokio::test]
async fn a_flow_goes_from_node_to_node() {
    let (one, other) = two_nodes().await;
    let app = one.client("app").await;
    let app_there = app.at(&other);
    let mut browser = one.browser();
    browser.sign_in_as_someone().await;
    let mut browser = browser.at(&other);
    browser.authorize(&app_there, &[]).await.assert_status(200);
    let (cookies, shown) = (browser.cookies, browser.shown);
    let mut browser = one.browser();
    (browser.cookies, browser.shown) = (cookies, shown);
    let code = browser.allow().await.code();

    let tokens = app_there.redeem(&code).await;
    let refreshed = app.refresh(&tokens.refresh_token()).await;
    let retried = app_there.refresh(&tokens.refresh_token()).await;
    assert_eq!(retried.refresh_token(), refreshed.refresh_token());
    assert!(other.is_active(&app_there, &refreshed.access_token()).await);
    app_there.revoke(&refreshed.refresh_token()).await.assert_status(200);
    assert!(!one.is_active(&app, &tokens.access_token()).await);
    app.refresh(&refreshed.refresh_token()).await.assert_error(400, "invalid_grant");
    end(one, other).await;
}

/// OAuth 2.1 §4.3.1: one rotation and one successor, wherever the uses arrive.
#[tokio::test]
async fn uses_of_one_token_at_both_nodes_make_one_rotation() {
    let (one, other) = two_nodes().await;
    let app = one.client("app").await;
    let app_there = app.at(&other);
    let token = app.tokens().await.refresh_token();
    let here = join_all((0..32).map(|_| app.refresh(&token)));
    let there = join_all((0..32).map(|_| app_there.refresh(&token)));
    let (here, there) = join(here, there).await;

    let successors: BTreeSet<String> = here.iter().chain(&there).map(Answer::refresh_token).collect();
    assert_eq!(successors.len(), 1);
    assert_eq!(one.grants().await, ["1"]);
    end(one, other).await;
}

/// OAuth 2.1 §4.1.3: a code works once, wherever the uses arrive.
#[tokio::test]
async fn of_uses_of_one_code_at_both_nodes_one_wins() {
    let (one, other) = two_nodes().await;
    let app = one.client("app").await;
    let app_there = app.at(&other);
    let code = app.code().await;
    let (here, there) = join(join_all((0..32).map(|_| app.redeem(&code))), join_all((0..32).map(|_| app_there.redeem(&code)))).await;

    let (won, lost): (Vec<&Answer>, Vec<&Answer>) = here.iter().chain(&there).partition(|answer| answer.status == 200);
    assert_eq!(won.len(), 1);
    for answer in lost {
        answer.assert_error(400, "invalid_grant");
    }
    assert_eq!(one.grants().await, ["0"]);
    end(one, other).await;
}

/// A client that is disabled at one node, or by the command line, is unknown to the others within a second.
#[tokio::test]
async fn a_disabled_client_is_soon_refused_at_the_other_node() {
    let (one, other) = two_nodes().await;
    let app = one.client("app").await;
    let app_there = app.at(&other);
    app_there.client_credentials(&[]).await.assert_status(200);
    app.disable().await;
    eventually(async || app_there.client_credentials(&[]).await.status == 401).await;
    app_there.client_credentials(&[]).await.assert_error(401, "invalid_client");
    end(one, other).await;
}

/// A Postgres that was demoted and promoted again: connections that stayed read-only are not kept.
#[tokio::test]
async fn connections_to_a_read_only_database_are_not_kept() {
    let server = TestServer::start(Backend::Postgres, &[]).await;
    let alice = server.person("alice").await;
    let name = server.database.strings("SELECT current_database()::text").await.remove(0);
    let sign_in = async || server.browser().post("/login", &[("email", &alice.email), ("password", PASSWORD)]).await.status.as_u16();

    server.database.execute(&format!("ALTER DATABASE {name} SET default_transaction_read_only = on")).await;
    let end_all = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    server.database.execute(end_all).await;
    for statuses in [join_all((0..8).map(|_| sign_in())).await, vec![sign_in().await]] {
        assert!(statuses.iter().all(|status| *status == 503), "{statuses:?}");
    }
    let mut operator = server.database.postgres().await;
    for statement in ["SET default_transaction_read_only = off", &format!("ALTER DATABASE {name} RESET default_transaction_read_only")] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut operator).await.unwrap();
    }

    // The pool may have opened one or two before the database was promoted, which the first write finds.
    let statuses = [sign_in().await, sign_in().await, sign_in().await];
    assert_eq!(statuses[2], 303, "{statuses:?}");
    server.end().await;
}

//! RFC 7239 §8.1: addresses that proxies say, and that others make up.

use std::net::SocketAddr;

use grantor::routes::Peer;

use crate::{
    harness::{Answer, ISSUER, TestServer, browser::PASSWORD, form_request},
    on_every_backend,
};

const PROXY: &str = "10.0.0.5";

/// A sign-in over a connection from `peer`, with a header that says where it is from.
async fn sign_in(server: &TestServer, peer: &str, forwarded_for: &str, email: &str, password: &str) -> Answer {
    let mut request = form_request("/login", &[("email", email), ("password", password)]);
    request.headers_mut().insert("origin", ISSUER.parse().unwrap());
    request.headers_mut().insert("sec-fetch-site", "same-origin".parse().unwrap());
    request.headers_mut().insert("x-forwarded-for", forwarded_for.parse().unwrap());
    request.extensions_mut().insert(Peer(SocketAddr::new(peer.parse().unwrap(), 40_000)));
    server.send(request).await
}

/// Which addresses the audit trail has, each once.
async fn audited(server: &TestServer) -> Vec<String> {
    server.database.strings("SELECT DISTINCT COALESCE(address, '-') FROM audit_events ORDER BY 1").await
}

on_every_backend! {
    /// Who guesses behind a proxy delays neither the proxy nor the others behind it, whatever the guesser claims to be.
    async fn guesses_through_a_proxy_count_for_whoever_made_them(server, "GRANTOR_PROXIES__NETWORKS" = "10.0.0.5/32", "GRANTOR_THROTTLE__ADDRESS_FAILURES" = "6") {
        let alice = server.person("alice").await;
        for number in 0..3 {
            let claims_to_be = format!("192.0.2.{number}, 203.0.113.7");
            sign_in(server, PROXY, &claims_to_be, &format!("person{number}@example.com"), "a guess").await.assert_status(400);
        }
        sign_in(server, PROXY, "192.0.2.9, 203.0.113.7", &alice.email, PASSWORD).await.assert_status(429);
        sign_in(server, PROXY, "198.51.100.9", &alice.email, PASSWORD).await.assert_status(303);
        assert_eq!(audited(server).await, ["198.51.100.9", "203.0.113.7"]);
    }

    /// Without a proxy, or beside it, the header is the client's to write.
    async fn whoever_is_no_proxy_is_not_believed(server, "GRANTOR_PROXIES__NETWORKS" = "10.0.0.5/32", "GRANTOR_THROTTLE__ADDRESS_FAILURES" = "6") {
        for number in 0..4 {
            let answer = sign_in(server, "203.0.113.7", &format!("192.0.2.{number}"), &format!("person{number}@example.com"), "a guess").await;
            answer.assert_status(if number < 3 { 400 } else { 429 });
        }
        assert_eq!(audited(server).await, ["203.0.113.7"]);
    }
}

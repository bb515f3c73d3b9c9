//! `WebFinger` (RFC 7033): from what a person calls themselves to the issuer (OpenID Discovery §2).

use serde_json::json;

use crate::{harness::encode, on_every_backend};

const ISSUER_RELATION: &str = "http://openid.net/specs/connect/1.0/issuer";
const ALICE: &str = "acct:alice@auth.example.com";

/// The path and query of a request.
fn path(params: &[(&str, &str)]) -> String {
    format!("/.well-known/webfinger?{}", encode(params))
}

on_every_backend! {
    /// OpenID Discovery §2.2.1, RFC 7033 §4.4, §10.2: an account leads to the issuer.
    async fn an_account_leads_to_the_issuer(server) {
        let answer = server.get(&path(&[("resource", ALICE), ("rel", ISSUER_RELATION)])).await;
        assert_eq!(answer.assert_status(200).header("content-type"), "application/jrd+json");
        assert_eq!(answer.json(), json!({"subject": ALICE, "links": [{"rel": ISSUER_RELATION, "href": ISSUER}]}));
    }

    /// OpenID Discovery §2.2.2: a URL at the host, too.
    async fn a_url_leads_to_the_issuer(server) {
        for resource in [ISSUER, "https://auth.example.com/alice", "https://auth.example.com:443/~alice?x#y"] {
            let answer = server.get(&path(&[("resource", resource)])).await;
            assert_eq!(answer.assert_status(200).json()["links"][0]["href"], ISSUER, "{resource}");
        }
    }

    /// Nobody learns who has an account: the answer is the same for those who have none.
    async fn the_answer_does_not_depend_on_the_account(server) {
        let person = server.person("alice").await;
        let answer_for = async |name: &str| server.get(&path(&[("resource", &format!("acct:{name}@auth.example.com"))])).await.body.replace(name, "");
        let known = person.email.split('@').next().unwrap();
        assert_eq!(answer_for(known).await, answer_for("nobody").await);
    }

    /// RFC 7033 §4.2: a resource of another host is not found.
    async fn another_host_is_not_found(server) {
        for resource in ["acct:alice@example.com", "acct:alice@evil.example", "https://evil.example/", "http://auth.example.com/", "mailto:alice@auth.example.com"] {
            server.get(&path(&[("resource", resource)])).await.assert_error(404, "invalid_request");
        }
    }

    /// RFC 7033 §4.2: the parameter is absent, repeated or no URI.
    async fn without_one_resource_the_request_is_refused(server) {
        let twice = path(&[("resource", ALICE), ("resource", ALICE)]);
        for query in ["/.well-known/webfinger", "/.well-known/webfinger?resource=", "/.well-known/webfinger?rel=x", &path(&[("resource", "alice")]), &twice] {
            server.get(query).await.assert_error(400, "invalid_request");
        }
    }

    /// RFC 7033 §4.3: `rel` chooses among the links, and may be repeated; the rest of the descriptor stays.
    async fn rel_chooses_the_links(server) {
        let other = server.get(&path(&[("resource", ALICE), ("rel", "http://webfinger.net/rel/avatar")])).await;
        assert_eq!(other.assert_status(200).json(), json!({"subject": ALICE, "links": []}));
        let both = server.get(&path(&[("resource", ALICE), ("rel", "author"), ("rel", ISSUER_RELATION)])).await;
        assert_eq!(both.json()["links"].as_array().unwrap().len(), 1);
    }

    /// RFC 7033 §4: it is at the root of the host, whatever the issuer's path.
    async fn it_is_at_the_root_of_the_origin(server, "GRANTOR_ISSUER" = "https://auth.example.com/tenant/a") {
        use http::Request;
        let at = async |path: &str| server.send_to_origin(Request::get(path).body(axum::body::Body::empty()).unwrap()).await;
        let answer = at(&path(&[("resource", ALICE)])).await;
        assert_eq!(answer.assert_status(200).json()["links"][0]["href"], "https://auth.example.com/tenant/a");
        at(&format!("/tenant/a{}", path(&[("resource", ALICE)]))).await.assert_error(404, "invalid_request");
    }

    /// RFC 7033 §4.2: `GET` only.
    async fn post_is_refused(server) {
        server.post("/.well-known/webfinger", &[("resource", ALICE)]).await.assert_error(405, "invalid_request");
    }

    /// RFC 7033 §5: browser-based apps read the descriptor, and why there is none.
    async fn any_origin_may_read_it(server) {
        for query in [path(&[("resource", ALICE)]), path(&[("resource", "acct:alice@evil.example")]), path(&[])] {
            assert_eq!(server.get(&query).await.header("access-control-allow-origin"), "*", "{query}");
        }
    }
}

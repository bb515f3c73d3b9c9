//! Servers of others that never answer: whoever registered one takes a share, and no more.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    harness::{Registration, TestServer, encode, eventually, registration::json_request, silent::Silent},
    on_every_backend,
};

fn asking_for(client_id: &str, uri: &str) -> String {
    format!("/oauth/authorize?{}", encode(&[("client_id", client_id), ("request_uri", uri)]))
}

/// Lets `asked` requests hang, and then does what `next` says.
async fn while_it_hangs<T>(hanging: impl Future, silent: &Silent, asked: usize, next: impl Future<Output = T>) -> T {
    tokio::select! {
        _ = hanging => panic!("{} of {asked} requests were sent", silent.asked()),
        outcome = async { eventually(|| async { silent.asked() >= asked }).await; next.await } => outcome,
    }
}

async fn register(server: &TestServer, id: &str, uris: &[String], registration: Registration) {
    server.register(id, Registration { metadata: json!({ "request_uris": uris }), ..registration }).await;
}

on_every_backend! {
    /// OpenID Core §6.2: of fetches that strangers began four at most go to one host; the next is to be asked for later. Clients
    /// of the operator's have places of their own.
    async fn request_objects_of_strangers_have_a_share(server, "GRANTOR_OUTBOUND__ALLOW_NETWORKS" = "127.0.0.0/8") {
        let silent = Silent::start().await;
        let uris: Vec<String> = (0..5).map(|number| silent.uri(&number.to_string())).collect();
        register(server, "stranger", &uris, Registration::by_itself()).await;
        register(server, "operators", &uris, Registration::default()).await;
        let ask = async |client_id: &str, uri: &str| server.get(&asking_for(client_id, uri)).await;
        let refused = while_it_hangs(join_all(uris[..4].iter().map(|uri| ask("stranger", uri))), &silent, 4, async {
            let refused = ask("stranger", &uris[4]).await;
            while_it_hangs(ask("operators", &uris[4]), &silent, 5, async {}).await;
            refused
        });
        let refused = refused.await;
        refused.assert_status(503);
        assert_eq!((refused.header("retry-after"), silent.asked()), ("1", 5));
    }

    /// OpenID Registration §5: so have the files of sectors, also when a registration is changed again and again.
    async fn sectors_of_strangers_have_a_share(server, "GRANTOR_OUTBOUND__ALLOW_NETWORKS" = "127.0.0.0/8", "GRANTOR_REGISTRATION__MODE" = "open", "GRANTOR_ISSUER" = "http://127.0.0.1:8080") {
        let silent = Silent::start().await;
        let document = json!({ "redirect_uris": ["https://app.example/callback"] });
        let registered = server.register_itself(document.clone()).await.assert_status(201).json();
        let (address, token) = (registered["registration_client_uri"].as_str().unwrap(), registered["registration_access_token"].as_str());
        let mut changed = document;
        changed["client_id"] = registered["client_id"].clone();
        changed["sector_identifier_uri"] = Value::from(silent.uri("sector.json"));
        let path = address.strip_prefix("http://127.0.0.1:8080").unwrap();
        let change = || server.send(json_request("PUT", path, token, &changed));
        let refused = while_it_hangs(join_all((0..4).map(|_| change())), &silent, 4, change()).await;
        assert_eq!((refused.assert_status(503).header("retry-after"), silent.asked()), ("1", 4));
    }
}

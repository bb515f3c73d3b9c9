//! Identifiers, and what of a registration goes together.

use super::*;

/// `OpenID` Core §8.1: the host of `sector_identifier_uri`, else the one host of all redirect URIs.
#[test]
fn a_sector_is_one_host() {
    let sector = |redirect_uris: &[&str], sector_identifier_uri: Option<&str>| {
        let mut client = Client::new(ClientId::parse("app").unwrap(), "App".to_owned(), ClientType::Public);
        client.redirect_uris = redirect_uris.iter().map(|uri| RedirectUri::register(uri, ClientType::Public).unwrap()).collect();
        client.metadata.sector_identifier_uri = sector_identifier_uri.map(str::to_owned);
        client.sector_identifier()
    };
    let of = |host: &str| Some(host.to_owned());
    assert_eq!(sector(&["https://App.example/a", "https://app.example:8443/b"], None), of("app.example"));
    assert_eq!(sector(&["https://a.example/", "https://b.example/"], Some("https://sector.example/uris.json")), of("sector.example"));
    for without in [&[][..], &["https://a.example/", "https://b.example/"], &["com.example.app:/callback"]] {
        assert_eq!(sector(without, None), None);
    }
}

/// RFC 9068 §5: a client's `sub` must not read as a person's.
#[test]
fn a_uuid_in_any_spelling_is_no_client_id() {
    for text in [
        "67e55044-10b1-426f-9247-bb680e5fe0c8",
        "67e5504410b1426f9247bb680e5fe0c8",
        "{67e55044-10b1-426f-9247-bb680e5fe0c8}",
        "urn:uuid:67e55044-10b1-426f-9247-bb680e5fe0c8",
    ] {
        assert_eq!(ClientId::parse(text), Err(MalformedClientId::Uuid), "{text}");
    }
}

/// RFC 7591 §2, `OpenID` Core §9.
#[test]
fn a_client_can_authenticate_as_it_is_registered_to() {
    let check = |client_type, metadata: serde_json::Value| {
        let id = ClientId::parse("app").unwrap();
        let metadata = serde_json::from_value(metadata).unwrap();
        Client { metadata, ..Client::new(id, "App".to_owned(), client_type) }.check_authentication()
    };
    let of_confidential = |metadata| check(ClientType::Confidential, metadata);
    let keys = serde_json::json!({ "keys": [] });
    for (metadata, expected) in [
        (serde_json::json!({}), Ok(())),
        (serde_json::json!({ "token_endpoint_auth_method": "client_secret_jwt", "token_endpoint_auth_signing_alg": "HS512" }), Ok(())),
        (serde_json::json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks": keys }), Ok(())),
        (serde_json::json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://app.example/jwks" }), Ok(())),
        (serde_json::json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "http://127.0.0.1:8090/jwks" }), Ok(())),
        (serde_json::json!({ "token_endpoint_auth_method": "private_key_jwt" }), Err(Contradiction::NoKeys)),
        (serde_json::json!({ "jwks": keys, "jwks_uri": "https://app.example/jwks" }), Err(Contradiction::KeysTwice)),
        (serde_json::json!({ "jwks_uri": "http://app.example/jwks" }), Err(Contradiction::KeysAddress)),
        (serde_json::json!({ "jwks_uri": "https://me@app.example/jwks" }), Err(Contradiction::KeysAddress)),
        (serde_json::json!({ "jwks_uri": "https://app.example/jwks#1" }), Err(Contradiction::KeysAddress)),
        (serde_json::json!({ "jwks_uri": "app.example" }), Err(Contradiction::KeysAddress)),
        (serde_json::json!({ "token_endpoint_auth_method": "none" }), Err(Contradiction::MethodOfOtherType)),
        (
            serde_json::json!({ "token_endpoint_auth_method": "client_secret_jwt", "token_endpoint_auth_signing_alg": "ES256" }),
            Err(Contradiction::MethodAlgorithm),
        ),
        (serde_json::json!({ "token_endpoint_auth_signing_alg": "ES256" }), Err(Contradiction::MethodAlgorithm)),
    ] {
        assert_eq!(of_confidential(metadata.clone()), expected, "{metadata}");
    }
    assert_eq!(check(ClientType::Public, serde_json::json!({ "token_endpoint_auth_method": "none" })), Ok(()));
    let secret = serde_json::json!({ "token_endpoint_auth_method": "client_secret_basic" });
    assert_eq!(check(ClientType::Public, secret), Err(Contradiction::MethodOfOtherType));
}

#[test]
fn a_client_id_is_printable_ascii() {
    assert!(ClientId::parse("app-1").is_ok());
    for text in ["", "a b", "a\0", "ä"] {
        assert_eq!(ClientId::parse(text), Err(MalformedClientId::Characters));
    }
}

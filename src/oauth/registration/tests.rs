use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::oauth::{ClientId, scope};

#[expect(clippy::needless_pass_by_value, reason = "tests read better without borrowing")]
fn self_registered(rules: &Rules<'_>, document: Value) -> Result<Client, Vec<String>> {
    let id = ClientId::parse("client-1").expect("an id");
    let scope = rules.scope.cloned().unwrap_or_else(scope::default);
    let mut client = blank(Client::new(id, "client-1".to_owned(), ClientType::Confidential), &scope);
    let document = document.as_object().expect("an object").clone();
    let mut wrong = apply(&mut client, &document, rules);
    if !document.contains_key("application_type") {
        client.application_type = application_type(&client);
    }
    if wrong.is_empty() {
        wrong = check(&client, rules);
    }
    if wrong.is_empty() { Ok(client) } else { Err(wrong.iter().map(ToString::to_string).collect()) }
}

const RULES: Rules<'_> = Rules { by: Trust::SelfRegistered, issuer_is_loopback: false, scope: None };

fn with(member: &str, value: Value) -> Value {
    let mut document = json!({ "redirect_uris": ["https://app.example/callback"] });
    document[member] = value;
    document
}

#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "tests read better without borrowing")]
fn refused(document: Value, member: &str) {
    let wrong = self_registered(&RULES, document.clone()).map(|client| client.metadata).expect_err(&document.to_string());
    assert!(wrong.iter().any(|wrong| wrong.starts_with(member)), "{document}: {wrong:?}");
}

/// RFC 7591 §2, `OpenID` Registration §2: what is left out has its default.
#[test]
fn a_redirect_uri_is_enough() {
    let client = self_registered(&RULES, json!({ "redirect_uris": ["https://app.example/callback"] })).expect("a client");
    let registered = Value::Object(registered(&client));
    for (member, value) in [
        ("grant_types", json!(["authorization_code"])),
        ("response_types", json!(["code"])),
        ("token_endpoint_auth_method", json!("client_secret_basic")),
        ("application_type", json!("web")),
        ("subject_type", json!("public")),
        ("id_token_signed_response_alg", json!("RS256")),
        ("require_auth_time", json!(false)),
    ] {
        assert_eq!(registered[member], value, "{member}");
    }
    assert_eq!(client.trust, Trust::SelfRegistered);
}

/// RFC 7591 §2: what is not understood is ignored; what is an operator's to say is not the client's.
#[test]
fn a_client_cannot_say_what_is_the_operators() {
    let document = json!({
        "redirect_uris": ["https://app.example/callback"], "something_else": { "a": [1] },
        "pkce": "optional", "claims": ["roles"], "first_party": true, "trust": "operator", "resources": ["https://api.example"],
    });
    let client = self_registered(&RULES, document).expect("a client");
    assert_eq!((client.metadata.pkce, client.metadata.claims.len()), (PkcePolicy::Required, 0));
    assert!(!client.first_party && client.resources.is_empty() && client.trust == Trust::SelfRegistered);
}

/// RFC 7591 §2, `OpenID` Registration §2: every member has a form.
#[test]
fn what_is_malformed_is_refused_by_the_name_of_its_member() {
    for (member, wrong) in [
        ("redirect_uris", json!("https://app.example/callback")),
        ("redirect_uris", json!([])),
        ("redirect_uris", json!([7])),
        ("redirect_uris", json!(["https://app.example/#fragment"])),
        ("redirect_uris", json!(["http://app.example/callback"])),
        ("redirect_uris", json!(vec!["https://app.example/callback"; 33])),
        ("response_types", json!(["code", "token"])),
        ("response_types", json!(["id_token"])),
        ("response_types", json!([])),
        ("grant_types", json!(["implicit"])),
        ("grant_types", json!(["client_credentials"])),
        ("grant_types", json!(["refresh_token"])),
        ("grant_types", json!([])),
        ("application_type", json!("browser")),
        ("token_endpoint_auth_method", json!("tls_client_auth")),
        ("token_endpoint_auth_method", json!("private_key_jwt")),
        ("token_endpoint_auth_signing_alg", json!("none")),
        ("client_name", json!("")),
        ("client_name", json!("a\u{202E}b")),
        ("client_name", json!(["a"])),
        ("logo_uri", json!("http://app.example/logo.png")),
        ("logo_uri", json!("javascript:alert(1)")),
        ("client_uri", json!("https://me@app.example/")),
        ("policy_uri", json!("https://0x7f.1/")),
        ("tos_uri", json!(format!("https://app.example/{}", "a".repeat(2_000)))),
        ("jwks_uri", json!("https://app.example/jwks#a")),
        ("jwks", json!({ "keys": [] })),
        ("jwks", json!([{ "kty": "RSA" }])),
        ("jwks", json!({ "keys": [{ "kty": "EC", "crv": "P-256", "x": "a", "y": "b", "d": "c" }] })),
        ("jwks", json!({ "keys": [{ "kty": "oct", "k": "c2VjcmV0" }] })),
        ("id_token_signed_response_alg", json!("none")),
        ("id_token_signed_response_alg", json!("HS256")),
        ("userinfo_signed_response_alg", json!("RS1024")),
        ("request_object_signing_alg", json!("none")),
        ("request_object_signing_alg", json!("RS256")),
        ("id_token_encrypted_response_alg", json!("RSA-OAEP-256")),
        ("userinfo_encrypted_response_enc", json!("A128GCM")),
        ("subject_type", json!("transient")),
        ("sector_identifier_uri", json!("http://app.example/sector.json")),
        ("default_max_age", json!(-1)),
        ("default_max_age", json!("60")),
        ("default_max_age", json!(1e40)),
        ("require_auth_time", json!("yes")),
        ("default_acr_values", json!("1")),
        ("initiate_login_uri", json!("http://app.example/login")),
        ("request_uris", json!(vec!["https://app.example/r"; 33])),
        ("request_uris", json!(["urn:a"])),
        ("post_logout_redirect_uris", json!(["https://app.example/#"])),
        ("backchannel_logout_uri", json!("https://app.example/logout#a")),
        ("backchannel_logout_session_required", json!(1)),
        ("frontchannel_logout_uri", json!("https://other.example/logout")),
        ("contacts", json!(["a\nb"])),
        ("software_id", json!("a".repeat(300))),
        ("software_version", json!(2)),
        ("scope", json!(["openid"])),
        ("scope", json!("a\"b")),
        ("client_name#de", json!("\u{7}")),
        ("logo_uri#de", json!("http://app.example/logo.png")),
    ] {
        refused(with(member, wrong), member.split('#').next().expect("a name"));
    }
}

/// RFC 7591 §2: the two are alternatives.
#[test]
fn keys_are_given_by_value_or_by_reference() {
    let keys = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }] });
    let mut both = with("jwks", keys.clone());
    both["jwks_uri"] = json!("https://app.example/jwks");
    refused(both, "jwks");
    let mut by_value = with("jwks", keys);
    by_value["token_endpoint_auth_method"] = json!("private_key_jwt");
    by_value["token_endpoint_auth_signing_alg"] = json!("EdDSA");
    by_value["request_object_signing_alg"] = json!("ES256");
    assert!(self_registered(&RULES, by_value.clone()).is_ok());
    by_value["token_endpoint_auth_signing_alg"] = json!("HS256");
    refused(by_value, "token_endpoint_auth_signing_alg");
    let mut of_secret = with("token_endpoint_auth_method", json!("client_secret_jwt"));
    assert!(self_registered(&RULES, of_secret.clone()).is_ok());
    of_secret["token_endpoint_auth_signing_alg"] = json!("ES256");
    refused(of_secret, "token_endpoint_auth_signing_alg");
}

/// `OpenID` Registration §2: web applications are on the web, native ones on the device or at a claimed address (RFC 8252 §7).
#[test]
fn redirect_uris_fit_the_application_type() {
    let registered = |application_type: &str, method: &str, uri: &str| {
        let document = json!({ "application_type": application_type, "token_endpoint_auth_method": method, "redirect_uris": [uri] });
        self_registered(&RULES, document).is_ok()
    };
    for (application_type, method, uri, is_fine) in [
        ("web", "client_secret_basic", "https://app.example/cb", true),
        ("web", "none", "https://app.example/cb", true),
        ("web", "client_secret_basic", "http://127.0.0.1/cb", false),
        ("web", "none", "http://localhost/cb", false),
        ("web", "none", "https://localhost/cb", false),
        ("web", "none", "com.example.app:/cb", false),
        ("native", "none", "http://127.0.0.1/cb", true),
        ("native", "none", "http://[::1]/cb", true),
        ("native", "none", "com.example.app:/cb", true),
        ("native", "none", "https://app.example/cb", true),
        ("native", "none", "https://localhost/cb", false),
        ("native", "client_secret_basic", "com.example.app:/cb", false),
    ] {
        assert_eq!(registered(application_type, method, uri), is_fine, "{application_type} {method} {uri}");
    }
    let on_this_machine = Rules { issuer_is_loopback: true, ..RULES };
    let for_development = json!({ "redirect_uris": ["http://localhost:3000/cb"], "logo_uri": "http://localhost:3000/logo.png" });
    assert!(self_registered(&on_this_machine, for_development).is_ok());
    assert!(self_registered(&on_this_machine, with("logo_uri", json!("http://app.example/logo.png"))).is_err());
}

/// OAuth's clients do not know `application_type`: what runs on a device is native without saying so.
#[test]
fn a_program_on_a_device_is_native_without_saying_so() {
    let of = |method: &str, uri: &str| {
        let client = self_registered(&RULES, json!({ "token_endpoint_auth_method": method, "redirect_uris": [uri] })).ok()?;
        Some(client.application_type)
    };
    assert_eq!(of("none", "http://localhost:3118/callback"), Some(ApplicationType::Native));
    assert_eq!(of("none", "https://app.example/callback"), Some(ApplicationType::Web));
    assert_eq!(of("client_secret_basic", "http://localhost:3118/callback"), None);
}

/// `OpenID` Core §8.1: without a file, the one host of the redirect URIs is the sector.
#[test]
fn pairwise_needs_one_sector() {
    let pairwise = |uris: Value| json!({ "subject_type": "pairwise", "redirect_uris": uris, "application_type": "native", "token_endpoint_auth_method": "none" });
    assert!(self_registered(&RULES, pairwise(json!(["https://a.example/1", "https://a.example:8443/2"]))).is_ok());
    refused(pairwise(json!(["https://a.example/1", "https://b.example/1"])), "sector_identifier_uri");
    refused(pairwise(json!(["com.example.app:/cb"])), "sector_identifier_uri");
    let mut with_file = pairwise(json!(["https://a.example/1", "https://b.example/1"]));
    with_file["sector_identifier_uri"] = json!("https://a.example/sector.json");
    assert!(self_registered(&RULES, with_file).is_ok());
}

/// RFC 7591 §2.2.
#[test]
fn what_people_read_comes_in_their_languages() {
    let mut document = with("client_name#ja-Jpan-JP", json!("\u{30AF}\u{30E9}"));
    document["tos_uri#de"] = json!("https://app.example/agb");
    document["client_name#not a tag"] = json!("ignored");
    document["redirect_uris#de"] = json!("ignored");
    let client = self_registered(&RULES, document).expect("a client");
    let registered = registered(&client);
    assert_eq!(registered["client_name#ja-Jpan-JP"], "\u{30AF}\u{30E9}");
    assert_eq!(registered["tos_uri#de"], "https://app.example/agb");
    assert_eq!(client.metadata.localized.len(), 2);
}

/// RFC 7591 §3.2.1: of the scope that was asked for, what such clients may have.
#[test]
fn a_client_gets_no_more_scope_than_the_operator_lets_it() {
    let most = Scope::parse("openid email").expect("a scope");
    let rules = Rules { scope: Some(&most), ..RULES };
    let scope = |document| self_registered(&rules, document).map(|client| client.scope.to_string());
    assert_eq!(scope(with("scope", json!("admin openid"))), Ok("openid".to_owned()));
    assert_eq!(scope(with("redirect_uris", json!(["https://app.example/cb"]))), Ok("openid email".to_owned()));
    assert!(scope(with("scope", json!("admin"))).is_err());
}

#[test]
fn an_operator_takes_a_member_back_with_null() {
    let id = ClientId::parse("app").expect("an id");
    let mut client = Client::new(id, "App".to_owned(), ClientType::Confidential);
    let rules = Rules::of_operator(false);
    let mut say = |document: Value| apply(&mut client, document.as_object().expect("an object"), &rules);
    assert_eq!(say(json!({ "logo_uri": "https://app.example/logo.png", "default_max_age": 60, "pkce": "or_nonce" })), []);
    assert_eq!(say(json!({ "logo_uri": null, "default_max_age": null })), []);
    assert_eq!(say(json!({ "scope": null })).len(), 1);
    assert_eq!((&client.metadata.logo_uri, client.metadata.default_max_age), (&None, None));
    assert_eq!(client.metadata.pkce, PkcePolicy::OrNonce);
}

/// Nothing that a client sends is in what it is answered.
#[test]
fn a_refusal_echoes_nothing() {
    for member in names() {
        for value in [json!("xyzzy\"\\"), json!(["xyzzy"]), json!({ "xyzzy": 1 }), json!(17)] {
            for wrong in self_registered(&RULES, with(member, value)).err().unwrap_or_default() {
                assert!(!wrong.contains("xyzzy") && !wrong.contains("17"), "{wrong}");
            }
        }
    }
}

proptest! {
    /// Whatever is registered can be written down and read again, and is told in characters that JSON errors may have.
    #[test]
    fn any_document_is_registered_or_refused(
        member in prop::sample::select(names().collect::<Vec<_>>()),
        value in prop_oneof![
            "\\PC{0,40}".prop_map(Value::from),
            prop::collection::vec("\\PC{0,20}", 0..3).prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
            Just(Value::Null),
            Just(json!({ "keys": [{ "kty": "EC" }, 1] })),
            "(https?|com\\.example)://?[a-z0-9.@:\\[\\]]{0,12}(/[a-z#?]{0,6})?".prop_map(Value::from),
            "(https?|com\\.example)://?[a-z0-9.@:\\[\\]]{0,12}(/[a-z#?]{0,6})?".prop_map(|uri| json!([uri])),
        ],
    ) {
        match self_registered(&RULES, with(member, value)) {
            Ok(client) => {
                let text = serde_json::to_string(&client.metadata).expect("JSON");
                let read: crate::oauth::ClientMetadata = serde_json::from_str(&text).expect("what was written");
                prop_assert_eq!(read, client.metadata);
            }
            Err(wrong) => {
                for remedy in wrong {
                    let error = OAuthError::from(WrongMember { member: "scope", remedy: Cow::Owned(remedy) });
                    prop_assert!(error.description.bytes().all(|byte| matches!(byte, 0x20..=0x21 | 0x23..=0x5B | 0x5D..=0x7E)), "{}", error);
                }
            }
        }
    }
}

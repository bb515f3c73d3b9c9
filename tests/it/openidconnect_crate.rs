//! A client written with the `openidconnect` crate, as an app's developer writes it, against the running binary.

use openidconnect::{
    AccessTokenHash, AdditionalProviderMetadata, AuthenticationFlow, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndSessionUrl,
    IssuerUrl, LogoutRequest, Nonce, OAuth2TokenResponse, PkceCodeChallenge, PostLogoutRedirectUrl, ProviderMetadata, RedirectUrl,
    RequestTokenError, RevocationUrl, Scope, TokenResponse,
    core::{
        CoreAuthDisplay, CoreAuthPrompt, CoreClaimName, CoreClaimType, CoreClient, CoreClientAuthMethod, CoreErrorResponseType,
        CoreGrantType, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm, CoreJwsSigningAlgorithm,
        CoreResponseMode, CoreResponseType, CoreRevocableToken, CoreSubjectIdentifierType, CoreUserInfoClaims,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    harness::{
        Database,
        browser::PASSWORD,
        over_http::{CALLBACK, RemoteApp, RemoteBrowser, carry},
        process::{Process, run_with_input},
    },
    on_databases,
};

/// What the discovery document has and the crate does not know.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Endpoints {
    revocation_endpoint: String,
    end_session_endpoint: EndSessionUrl,
}

impl AdditionalProviderMetadata for Endpoints {}

type Metadata = ProviderMetadata<
    Endpoints,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// Adds a person with a name; answers their `sub`.
fn create_alice(database: &Database) -> String {
    let command = ["user", "create", "--email", "alice@example.com", "--name", "Alice Liddell", "--password-stdin", "--json"];
    let created = run_with_input(database, &command, &format!("{PASSWORD}\n")).json();
    created["id"].as_str().unwrap().to_owned()
}

/// A sign-in, as the crate does it for an app whose ID tokens are signed with this algorithm, to its end.
async fn sign_in(database: &Database, server: &Process, sub: &str, algorithm: CoreJwsSigningAlgorithm) {
    let name = serde_json::to_value(&algorithm).unwrap();
    let name = name.as_str().unwrap();
    let back = "https://app.example/signed-out";
    let metadata = json!({ "id_token_signed_response_alg": name, "post_logout_redirect_uris": [back] }).to_string();
    let app = RemoteApp::create_with(database, &format!("app-{name}"), &["--scope", "openid profile email", "--metadata", &metadata]);

    let issuer = IssuerUrl::new(server.base()).unwrap();
    let provider = Metadata::discover_async(issuer, &carry).await.unwrap();
    let Endpoints { revocation_endpoint, end_session_endpoint } = provider.additional_metadata().clone();
    let revocation = RevocationUrl::new(revocation_endpoint.replacen("http:", "https:", 1)).unwrap();
    let client = CoreClient::from_provider_metadata(provider, ClientId::new(app.id), Some(ClientSecret::new(app.secret)))
        .set_redirect_uri(RedirectUrl::new(CALLBACK.to_owned()).unwrap())
        .set_revocation_url(revocation);

    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let flow = AuthenticationFlow::<CoreResponseType>::AuthorizationCode;
    let scopes = ["profile", "email", "offline_access"].map(|scope| Scope::new(scope.to_owned()));
    let authorization = client.authorize_url(flow, CsrfToken::new_random, Nonce::new_random).add_scopes(scopes);
    let (url, state, nonce) = authorization.set_pkce_challenge(challenge).add_prompt(CoreAuthPrompt::Consent).url();
    let mut browser = RemoteBrowser::new(&[&server.base()]);
    browser.go(url.as_str()).await.assert_status(200);
    browser.sign_in("alice@example.com", PASSWORD).await.assert_status(200);
    let response = browser.allow().await;
    assert_eq!(response.param("state").as_ref(), Some(state.secret()));

    let code = AuthorizationCode::new(response.code());
    let tokens = client.exchange_code(code).unwrap().set_pkce_verifier(verifier).request_async(&carry).await.unwrap();
    let id_token = tokens.id_token().unwrap();
    let verifier = client.id_token_verifier();
    let claims = id_token.claims(&verifier, &nonce).unwrap();
    assert_eq!(*id_token.signing_alg().unwrap(), algorithm);
    assert_eq!(claims.subject().as_str(), sub);
    assert!(claims.auth_time().is_some());
    let hash = AccessTokenHash::from_token(tokens.access_token(), &algorithm, id_token.signing_key(&verifier).unwrap());
    assert_eq!(claims.access_token_hash(), Some(&hash.unwrap()));
    id_token.claims(&verifier, &Nonce::new_random()).unwrap_err();

    let userinfo = client.user_info(tokens.access_token().clone(), Some(claims.subject().clone())).unwrap();
    let userinfo: CoreUserInfoClaims = userinfo.request_async(&carry).await.unwrap();
    assert_eq!(userinfo.name().unwrap().get(None).unwrap().as_str(), "Alice Liddell");
    assert_eq!(userinfo.email().unwrap().as_str(), "alice@example.com");

    let refreshed = client.exchange_refresh_token(tokens.refresh_token().unwrap()).unwrap().request_async(&carry).await.unwrap();
    let again = refreshed.id_token().unwrap().claims(&verifier, without_nonce).unwrap();
    assert_eq!((again.subject(), again.auth_time()), (claims.subject(), claims.auth_time()));

    let revocable = CoreRevocableToken::RefreshToken(refreshed.refresh_token().unwrap().clone());
    client.revoke_token(revocable).unwrap().request_async(&carry).await.unwrap();
    let ended = client.exchange_refresh_token(refreshed.refresh_token().unwrap()).unwrap().request_async(&carry).await;
    let Err(RequestTokenError::ServerResponse(refusal)) = ended else { panic!("{ended:?}") };
    assert_eq!(*refusal.error(), CoreErrorResponseType::InvalidGrant);

    let state = CsrfToken::new_random();
    let sign_out = LogoutRequest::from(end_session_endpoint).set_id_token_hint(id_token);
    let sign_out = sign_out.set_post_logout_redirect_uri(PostLogoutRedirectUrl::new(back.to_owned()).unwrap()).set_state(state.clone());
    let signed_out = browser.go(sign_out.http_get_url().as_str()).await;
    assert!(signed_out.location().starts_with(back));
    assert_eq!(signed_out.param("state").as_ref(), Some(state.secret()));
    browser.go(url.as_str()).await.assert_status(200);
    assert!(browser.page().body.contains("name=\"password\""), "signed out");
}

/// `OpenID` Core §12.2: an ID token that comes with a refresh carries no nonce.
fn without_nonce(nonce: Option<&Nonce>) -> Result<(), String> {
    nonce.map_or(Ok(()), |_| Err("there is a nonce".to_owned()))
}

on_databases! { [Sqlite, Postgres]
    /// `OpenID` Discovery §4, Core §3.1, §5.3, §12, RP-Initiated Logout §2, RFC 7009: a sign-in from discovery to its end, with ID tokens
    /// by RS256 and by ES256.
    async fn the_library_signs_a_person_in_asks_who_it_is_refreshes_revokes_and_signs_out(database) {
        let server = Process::serve(database, &[]);
        let sub = create_alice(database);
        for algorithm in [CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256, CoreJwsSigningAlgorithm::EcdsaP256Sha256] {
            sign_in(database, &server, &sub, algorithm).await;
        }
    }
}

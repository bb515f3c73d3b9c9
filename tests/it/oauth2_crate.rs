//! A client written with the `oauth2` crate, as an app's developer writes it, against the running binary.

use oauth2::{
    AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, IntrospectionUrl, PkceCodeChallenge, RedirectUrl, RequestTokenError,
    RevocationUrl, Scope, StandardRevocableToken, TokenIntrospectionResponse, TokenResponse, TokenUrl,
    basic::{BasicClient, BasicErrorResponseType},
};

use crate::{
    harness::{
        browser::PASSWORD,
        over_http::{CALLBACK, RemoteApp, RemoteBrowser, carry, create_person, get},
        process::Process,
    },
    on_databases,
};

/// The error code in a refusal that the crate understood.
fn code_of<T>(result: Result<T, oauth2::basic::BasicRequestTokenError<reqwest::Error>>) -> BasicErrorResponseType {
    match result {
        Err(RequestTokenError::ServerResponse(response)) => response.error().clone(),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("not refused"),
    }
}

on_databases! { [Sqlite, Postgres]
    /// OAuth 2.1 §4.1, §4.2, §4.3, RFC 7009, RFC 7662, RFC 8414, RFC 9207: the whole life of tokens, with endpoints from the metadata.
    async fn the_library_obtains_refreshes_introspects_and_revokes(database) {
        let server = Process::serve(database, &[]);
        let app = RemoteApp::create(database, "app");
        create_person(database, "alice@example.com");
        let metadata = get(&server.url("/.well-known/oauth-authorization-server")).await.json();
        let endpoint = |name: &str| metadata[name].as_str().unwrap().to_owned();
        let client = BasicClient::new(ClientId::new(app.id))
            .set_client_secret(ClientSecret::new(app.secret))
            .set_redirect_uri(RedirectUrl::new(CALLBACK.to_owned()).unwrap())
            .set_auth_uri(AuthUrl::new(endpoint("authorization_endpoint")).unwrap())
            .set_token_uri(TokenUrl::new(endpoint("token_endpoint")).unwrap())
            .set_introspection_url(IntrospectionUrl::new(endpoint("introspection_endpoint")).unwrap())
            .set_revocation_url(RevocationUrl::new(endpoint("revocation_endpoint").replacen("http:", "https:", 1)).unwrap());

        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let authorization = client.authorize_url(CsrfToken::new_random).add_scope(Scope::new("read".to_owned()));
        let (url, state) = authorization.set_pkce_challenge(challenge).url();
        let mut browser = RemoteBrowser::new(&[&server.base()]);
        browser.go(url.as_str()).await.assert_status(200);
        browser.sign_in("alice@example.com", PASSWORD).await.assert_status(200);
        let response = browser.allow().await;
        assert!(response.location().starts_with(CALLBACK));
        assert_eq!(response.param("state").as_ref(), Some(state.secret()));
        assert_eq!(response.param("iss"), Some(endpoint("issuer")));

        let code = AuthorizationCode::new(response.code());
        let tokens = client.exchange_code(code.clone()).set_pkce_verifier(verifier).request_async(&carry).await.unwrap();
        assert_eq!(tokens.scopes(), Some(&vec![Scope::new("read".to_owned())]));
        assert_eq!(tokens.expires_in().unwrap().as_secs(), 600);
        let introspect = async |token| client.introspect(token).request_async(&carry).await.unwrap();
        let introspection = introspect(tokens.access_token()).await;
        assert!(introspection.active());
        assert_eq!(introspection.client_id(), Some(client.client_id()));
        assert_eq!(introspection.token_type().unwrap().as_ref(), "bearer");
        let again = client.exchange_code(code).request_async(&carry).await;
        assert_eq!(code_of(again), BasicErrorResponseType::InvalidRequest, "without its verifier");

        let refreshed = client.exchange_refresh_token(tokens.refresh_token().unwrap()).request_async(&carry).await.unwrap();
        assert_ne!(refreshed.refresh_token().unwrap().secret(), tokens.refresh_token().unwrap().secret());
        let broader = client.exchange_refresh_token(refreshed.refresh_token().unwrap()).add_scope(Scope::new("write".to_owned()));
        assert_eq!(code_of(broader.request_async(&carry).await), BasicErrorResponseType::InvalidScope);

        let own = client.exchange_client_credentials().add_scope(Scope::new("read".to_owned())).request_async(&carry).await.unwrap();
        assert!(own.refresh_token().is_none());
        assert_eq!(introspect(own.access_token()).await.sub(), Some("app"));

        let revocable = StandardRevocableToken::RefreshToken(refreshed.refresh_token().unwrap().clone());
        client.revoke_token(revocable).unwrap().request_async(&carry).await.unwrap();
        assert!(!introspect(refreshed.access_token()).await.active());
        let ended = client.exchange_refresh_token(refreshed.refresh_token().unwrap()).request_async(&carry).await;
        assert_eq!(code_of(ended), BasicErrorResponseType::InvalidGrant);
        let revocable = StandardRevocableToken::AccessToken(own.access_token().clone());
        client.revoke_token(revocable).unwrap().request_async(&carry).await.unwrap();
        assert!(!introspect(own.access_token()).await.active());

        let impostor = client.set_client_secret(ClientSecret::new("guessed".to_owned()));
        assert_eq!(code_of(impostor.exchange_client_credentials().request_async(&carry).await), BasicErrorResponseType::InvalidClient);
    }
}

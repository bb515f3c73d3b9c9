//! Authorization server issuer identification (RFC 9207).

use crate::on_every_backend;

on_every_backend! {
    /// RFC 9207 §2: beside the code.
    async fn a_code_comes_with_the_issuer(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        browser.authorize(&app, &[]).await;
        let answer = browser.allow().await;

        assert!(answer.param("code").is_some());
        assert_eq!(answer.param("iss").as_deref(), Some(ISSUER));
    }

    /// RFC 9207 §2: also beside an error, at once, after sign-in, and when the person says no.
    async fn an_error_comes_with_the_issuer(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        browser.authorize(&app, &[("response_type", "token")]).await.assert_redirected_error("unsupported_response_type");
        browser.authorize(&app, &[("prompt", "none")]).await.assert_redirected_error("login_required");
        browser.sign_in_as_someone().await;
        browser.authorize(&app, &[("scope", "offline_access")]).await.assert_redirected_error("invalid_scope");
        browser.authorize(&app, &[]).await;
        browser.deny().await.assert_redirected_error("access_denied");
    }

    /// RFC 9207 §2: in every response mode.
    async fn a_posted_response_comes_with_the_issuer(server) {
        let app = server.register("ours", Registration { first_party: true, ..Registration::default() }).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;

        assert_eq!(browser.authorize(&app, &[("response_mode", "form_post")]).await.field("iss"), ISSUER);
        assert_eq!(browser.authorize(&app, &[("response_mode", "form_post"), ("max_age", "x")]).await.field("iss"), ISSUER);
    }

    /// RFC 9207 §2.3, §3: character for character the issuer of the metadata, which announces it.
    async fn it_is_the_issuer_of_the_metadata(server) {
        let metadata = server.get("/.well-known/oauth-authorization-server").await.json();
        assert_eq!(metadata["issuer"], ISSUER);
        assert_eq!(metadata["authorization_response_iss_parameter_supported"], true);
    }
}

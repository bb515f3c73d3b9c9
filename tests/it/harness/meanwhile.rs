//! What an operator changes while people and clients are busy, written as the command line would write it.

use super::{App, Browser, TestServer, browser::Person};

impl TestServer {
    /// Changes a row.
    pub async fn change(&self, table: &str, key: &str, assignment: &str) {
        let changed = self.database.execute(&format!("UPDATE {table} SET {assignment} WHERE {key}")).await;
        assert_eq!(changed, 1, "{table} {key}");
    }

    /// A node on the same database that remembers nothing: what a node learns within half a second, this one knows at once.
    pub async fn fresh_node(&self) -> Self {
        self.another_node().await
    }

    /// Closes a node and leaves the database to the others.
    pub async fn stop(self) {
        self.server.close().await;
    }
}

impl App<'_> {
    /// `grantor client update --redirect-uri`
    pub async fn move_to(&self, redirect_uri: &str) {
        self.change(&format!("redirect_uris = '[\"{redirect_uri}\"]'")).await;
    }

    /// `grantor client update --scope`
    pub async fn limit_to(&self, scope: &str) {
        self.change(&format!("scope = '{scope}'")).await;
    }

    /// Changes the client's row.
    pub async fn change(&self, assignment: &str) {
        self.server.change("clients", &format!("id = '{}'", self.id), assignment).await;
    }
}

impl Person {
    /// `grantor user disable`
    pub async fn disable(&self, server: &TestServer) {
        let assignment = format!("disabled_at = {}", server.now());
        server.change("people", &format!("email = '{}'", self.email), &assignment).await;
    }
}

impl Browser<'_> {
    /// The same browser, with what it shows, talking to another node from now on.
    pub fn moved_to(self, server: &TestServer) -> Browser<'_> {
        Browser { server, cookies: self.cookies, device: self.device, languages: self.languages, shown: self.shown }
    }

    /// Whether it shows the consent form.
    pub fn is_asked_for_consent(&self) -> bool {
        self.page().status == 200 && self.page().body.contains("id=\"allow\"")
    }

    /// Whether it asks which account it shall be.
    pub fn is_asked_for_an_account(&self) -> bool {
        self.page().status == 200 && self.page().body.contains("id=\"another\"")
    }

    /// Whether it shows the sign-up form.
    pub fn is_asked_to_sign_up(&self) -> bool {
        self.page().status == 200 && self.page().body.contains("id=\"sign-up\"")
    }

    /// Whether it shows the sign-in form.
    pub fn is_asked_to_sign_in(&self) -> bool {
        self.page().status == 200 && self.page().body.contains("id=\"sign-in\"")
    }
}

//! What an app asks for at the logout endpoint (`OpenID` RP-Initiated Logout §2), as far as it can be believed.

use std::sync::Arc;

use crate::{
    error::Result,
    oauth::{Client, ClientId, OAuthError, Params, PostLogoutAddress, client::Trust},
    server::Server,
    store::browser_sessions::BrowserSession,
    tokens::{
        id_token::{self, Hint},
        subject,
    },
};

/// The parameters that are kept while the person is asked. `logout_hint` tells nothing that the session does not.
const KEPT: [&str; 4] = ["id_token_hint", "client_id", "post_logout_redirect_uri", "state"];
/// More languages nobody reads.
const UI_LOCALES_MAX: usize = 200;

/// A request that follows every rule.
pub(crate) struct LogoutRequest {
    /// What matters of it.
    pub params: Params,
    /// Who asks, if that is known.
    pub client: Option<Arc<Client>>,
    hint: Option<Hint>,
    way_back: Option<WayBack>,
}

/// Where the person goes on after signing out (§3), with the `state` that the app gets back.
#[derive(Clone, Debug)]
pub(crate) struct WayBack {
    address: PostLogoutAddress,
    state: Option<String>,
}

impl WayBack {
    pub(crate) fn url(&self) -> String {
        self.address.url(self.state.as_deref())
    }

    /// What a person can recognise.
    pub(crate) fn display_host(&self) -> &str {
        self.address.display_host()
    }
}

/// What happens at the browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The hint is of who is signed in here, at this session.
    SignOut,
    /// §2: the person must be asked.
    Ask,
    /// §4: nobody is signed in, which is no error.
    Nothing,
}

impl LogoutRequest {
    /// A request that says nothing.
    pub(crate) fn bare() -> Self {
        Self { params: Params::default(), client: None, hint: None, way_back: None }
    }

    /// Checks a request. What is wrong is told to the person, and nowhere else (§4).
    pub(crate) async fn validate(server: &Server, params: &Params) -> Result<Result<Self, OAuthError>> {
        if let Err(error) = params.check() {
            return Ok(Err(error));
        }
        let hint = match params.get("id_token_hint") {
            None => None,
            Some(token) => match id_token::recognise_hint(server, token).await? {
                Some(hint) => Some(hint),
                None => return invalid("The id_token_hint is not an ID token of this server: send the last one as it was received."),
            },
        };
        let named = params.get("client_id");
        if let (Some(hint), Some(named)) = (&hint, named)
            && hint.aud != named
        {
            return invalid("The id_token_hint was issued to another client than client_id names.");
        }
        let client = match hint.as_ref().map(|hint| hint.aud.as_str()).or(named).map(ClientId::parse) {
            None => None,
            Some(Ok(client_id)) => match server.client(&client_id).await? {
                Some(client) => Some(client),
                None => return invalid(UNKNOWN_CLIENT),
            },
            Some(Err(_)) => return invalid(UNKNOWN_CLIENT),
        };
        let way_back = match (&client, params.get("post_logout_redirect_uri")) {
            // §3: without a client nobody can say that the address is right, so it is left alone.
            (None, _) | (_, None) => None,
            (Some(client), Some(uri)) => match PostLogoutAddress::accept(&client.metadata.post_logout_redirect_uris, uri) {
                Some(address) => Some(WayBack { address, state: params.get("state").map(str::to_owned) }),
                None => {
                    return invalid(
                        "The post_logout_redirect_uri is not one of the post_logout_redirect_uris that the client is registered with.",
                    );
                }
            },
        };
        let params = normalised(params, client.is_some(), way_back.is_some());
        Ok(Ok(Self { params, client, hint, way_back }))
    }

    /// Decides, with who is signed in.
    pub(crate) async fn step(&self, server: &Server, session: Option<&BrowserSession>) -> Result<Step> {
        let Some(session) = session else { return Ok(Step::Nothing) };
        let (Some(client), Some(hint)) = (&self.client, &self.hint) else { return Ok(Step::Ask) };
        let is_this_person = hint.sub == subject::of(server, client, session.person_id).await?;
        // §2: a token of another session is suspect.
        let is_this_session = match &hint.sid {
            Some(sid) => *sid == subject::of_session(server, client, session.id).await?,
            None => true,
        };
        Ok(if is_this_person && is_this_session { Step::SignOut } else { Step::Ask })
    }

    /// The languages that the app asks for, in their order.
    pub(crate) fn ui_locales(&self) -> impl Iterator<Item = &str> {
        self.params.get("ui_locales").unwrap_or_default().split(' ')
    }

    /// Where the person is offered to go on.
    pub(crate) fn way_back(&self) -> Option<&WayBack> {
        self.way_back.as_ref()
    }

    /// Whether the browser may go on by itself although nobody signed out. §3: an ID token shows that the address is meant; else the
    /// person must say so. And whoever registered a client of their own has such a token, and could lend the name of this server to
    /// any link: that person, too, must say so (OAuth 2.1 §7.12.2).
    pub(crate) fn goes_on_by_itself(&self) -> bool {
        self.hint.is_some() && self.client.as_ref().is_some_and(|client| client.trust == Trust::Operator)
    }
}

const UNKNOWN_CLIENT: &str = "No client with this client_id is registered and enabled; 'grantor client list' shows those that are.";

/// What nobody vouches for is not kept, so that strangers cannot fill the store.
fn normalised(params: &Params, has_client: bool, has_way_back: bool) -> Params {
    let kept = params.pairs().iter().filter(|(name, value)| match name.as_str() {
        "ui_locales" => value.len() <= UI_LOCALES_MAX,
        "state" => has_way_back,
        name => has_client && KEPT.contains(&name),
    });
    Params::from_pairs(kept.cloned().collect())
}

#[expect(clippy::unnecessary_wraps, reason = "the caller returns it as it is")]
fn invalid(description: &'static str) -> Result<Result<LogoutRequest, OAuthError>> {
    Ok(Err(OAuthError::invalid_request(description)))
}

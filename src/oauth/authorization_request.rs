//! The authorization request (OAuth 2.1 §4.1.1), once client and redirect URI are trusted.

use std::{sync::Arc, time::Duration};

use super::{
    claims_request::ClaimsRequest,
    client::{Client, Trust},
    error::{ErrorCode, OAuthError},
    grant_type::GrantType,
    params::Params,
    pkce::{self, CodeChallenge},
    prompt::Prompt,
    protected_resource::{self, Agreed, ProtectedResource, Registered},
    redirect_uri::ReturnAddress,
    resource::Resource,
    response_mode::ResponseMode,
    scope::{self, Scope},
};

/// The parameters that matter to us; the normalised request consists of these.
const KNOWN: &[&str] = &[
    "claims",
    "client_id",
    "code_challenge",
    "code_challenge_method",
    "id_token_hint",
    "login_hint",
    "max_age",
    "nonce",
    "prompt",
    "redirect_uri",
    "resource",
    "response_mode",
    "response_type",
    "scope",
    "state",
    "ui_locales",
];

/// Where the answer to a request goes, known before the rest of it is looked at.
#[derive(Clone, Debug)]
pub struct Reply {
    pub return_address: ReturnAddress,
    pub response_mode: ResponseMode,
    /// Echoed to the client (§4.1.2).
    pub state: Option<String>,
    /// Errors are not redirected but shown to the person, with a link: anyone could have registered the client, to be redirected
    /// to (§7.12.2). But `prompt=none` shows nothing (`OpenID` Core §3.1.2.1).
    pub errors_by_hand: bool,
}

impl Reply {
    /// A mode that we do not know is refused later, by redirecting in the default one.
    pub fn new(return_address: ReturnAddress, client: &Client, params: &Params) -> Self {
        let shows_nothing = params.get("prompt").and_then(|prompt| Prompt::parse(prompt).ok()).is_some_and(|prompt| prompt.none);
        Self {
            return_address,
            response_mode: params.get("response_mode").and_then(ResponseMode::parse).unwrap_or_default(),
            state: params.get("state").map(str::to_owned),
            errors_by_hand: client.trust == Trust::SelfRegistered && !shows_nothing,
        }
    }
}

/// A request that follows every rule.
#[derive(Clone, Debug)]
pub struct AuthorizationRequest {
    pub client: Arc<Client>,
    pub reply: Reply,
    pub scope: Scope,
    pub resources: Vec<Resource>,
    /// Those of them that are registered.
    pub apis: Vec<Arc<ProtectedResource>>,
    /// None only where the client's `pkce` allows it.
    pub code_challenge: Option<CodeChallenge>,
    pub nonce: Option<String>,
    pub claims: ClaimsRequest,
    pub prompt: Prompt,
    pub max_age: Option<Duration>,
    pub login_hint: Option<String>,
    /// As sent; whoever validates the request verifies it ...
    pub id_token_hint: Option<String>,
    /// ... and says here whom it is about.
    pub hinted_sub: Option<String>,
    /// The request, normalised, to be parsed again.
    pub params: Params,
}

impl AuthorizationRequest {
    /// Checks everything that follows client and redirect URI; a refusal goes to `reply`.
    pub fn parse(client: Arc<Client>, reply: Reply, params: &Params) -> Result<Self, OAuthError> {
        params.check()?;
        response_type(params)?;
        if params.get("response_mode").is_some_and(|mode| ResponseMode::parse(mode).is_none()) {
            return Err(OAuthError::invalid_request("The response_mode is not supported; use query or form_post."));
        }
        client.may_use(GrantType::AuthorizationCode)?;
        let prompt = params.get("prompt").map_or(Ok(Prompt::default()), Prompt::parse)?;
        let scope = requested_scope(params, &client)?;
        // `OpenID` Core §3.1.2.1.
        if scope.contains(scope::OPENID) && params.get("scope").is_some() && params.get("redirect_uri").is_none() {
            return Err(OAuthError::invalid_request("With the scope 'openid' the parameter 'redirect_uri' is required."));
        }
        let claims = ClaimsRequest::from_params(params)?;
        claims.check_acr()?;
        Ok(Self {
            resources: client.granted_resources(Resource::from_params(params)?)?,
            apis: Vec::new(),
            code_challenge: pkce::requested(params, &client, &scope)?,
            nonce: params.get("nonce").map(str::to_owned),
            claims,
            prompt,
            // `OpenID` Registration §2: the registered age where the request says none.
            max_age: params.get("max_age").map(max_age).transpose()?.or(client.metadata.default_max_age.map(Duration::from_secs)),
            login_hint: params.get("login_hint").map(str::to_owned),
            id_token_hint: params.get("id_token_hint").map(str::to_owned),
            hinted_sub: None,
            params: normalised(params),
            scope,
            client,
            reply,
        })
    }

    /// The request with what its resources know of its scope, if they have something in common: no token could carry more.
    pub fn at(self, resources: &Registered) -> Result<Self, OAuthError> {
        let Agreed { scope, .. } = protected_resource::agreed(resources, &self.scope)?;
        Ok(Self { scope, apis: resources.iter().flatten().cloned().collect(), ..self })
    }

    /// Whether the person must authenticate again in any case (`OpenID` Core §3.1.2.1: `max_age=0` is `prompt=login`).
    pub fn wants_login(&self) -> bool {
        self.prompt.login || self.max_age == Some(Duration::ZERO)
    }

    /// Whether the client named the person that it wants to hear of (`OpenID` Core §3.1.2.2).
    pub fn names_a_person(&self) -> bool {
        self.hinted_sub.is_some() || self.claims.names_a_person()
    }

    /// Whether it is about whom the client knows as `sub`.
    pub fn is_about(&self, sub: &str) -> bool {
        self.hinted_sub.as_deref().is_none_or(|hinted| hinted == sub) && self.claims.is_about(sub)
    }

    /// The languages that the client knows the person to prefer, the first one most (`OpenID` Core §3.1.2.1).
    pub fn ui_locales(&self) -> impl Iterator<Item = &str> {
        self.params.get("ui_locales").into_iter().flat_map(|tags| tags.split(' '))
    }
}

fn response_type(params: &Params) -> Result<(), OAuthError> {
    if params.required("response_type")? == "code" {
        Ok(())
    } else {
        Err(OAuthError::new(ErrorCode::UnsupportedResponseType, "Only response_type=code is supported."))
    }
}

/// Asking for nothing gives the client's scopes. With `openid`, what is not allowed is dropped (`OpenID` Core §3.1.2.1).
fn requested_scope(params: &Params, client: &Client) -> Result<Scope, OAuthError> {
    let Some(requested) = Scope::from_params(params)? else { return Ok(client.scope.clone()) };
    let allowed = requested.limited_to(&client.scope);
    if allowed.is_empty() || (!requested.contains(scope::OPENID) && allowed != requested) {
        return Err(OAuthError::invalid_scope("The client is not registered for every scope that it asked for."));
    }
    Ok(allowed)
}

fn max_age(text: &str) -> Result<Duration, OAuthError> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(OAuthError::invalid_request("max_age must be a number of seconds."));
    }
    // More than fits is longer than anyone is signed in.
    Ok(Duration::from_secs(text.parse().unwrap_or(u64::MAX)))
}

fn normalised(params: &Params) -> Params {
    Params::from_pairs(params.pairs().iter().filter(|(name, _)| KNOWN.contains(&name.as_str())).cloned().collect())
}

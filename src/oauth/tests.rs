//! What every parser of request parameters promises for any text: it never panics, and takes exactly what its grammar has.

use std::{collections::BTreeSet, sync::Arc};

use proptest::{prelude::*, sample::select, string::string_regex};

use super::{
    authorization_request::Reply,
    client::{ApplicationType, ClientType},
    params::encode,
    pkce::{CodeChallenge, CodeVerifier},
    prompt::Prompt,
    *,
};

/// What parsers stumble over, in any order, among any other characters.
fn hostile(pieces: &'static [&'static str]) -> impl Strategy<Value = String> {
    let piece = prop_oneof![4 => select(pieces).prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from)];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn is_match(pattern: &str, text: &str) -> bool {
    regex::Regex::new(&format!("^(?:{pattern})$")).expect("a regular expression").is_match(text)
}

const FORM: &[&str] = &["a", "b", "resource", "=", "=", "&", "&", "+", "%", "%4", "%41", "%2b", "%00", "%ff", "%c3%bc", "%zz", "\0", "ü"];

/// The URL Standard's parser of forms, step by step.
fn form_pairs(encoded: &str) -> Vec<(String, String)> {
    fn decoded(text: &str) -> String {
        let bytes = text.as_bytes();
        let hex = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16)).and_then(|digit| u8::try_from(digit).ok());
        let (mut out, mut at) = (Vec::new(), 0);
        while at < bytes.len() {
            match (bytes[at], hex(at + 1), hex(at + 2)) {
                (b'%', Some(high), Some(low)) => {
                    out.push(high << 4 | low);
                    at += 2;
                }
                (b'+', ..) => out.push(b' '),
                (byte, ..) => out.push(byte),
            }
            at += 1;
        }
        String::from_utf8_lossy(&out).into_owned()
    }
    let pairs = encoded.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.map(|(name, value)| (decoded(name), decoded(value))).filter(|(_, value)| !value.is_empty()).collect()
}

proptest! {
    /// OAuth 2.1, Appendix B.
    #[test]
    fn parameters_are_decoded_as_the_url_standard_says(encoded in hostile(FORM)) {
        let expected = form_pairs(&encoded);
        let params = Params::parse(&encoded);
        prop_assert_eq!(params.pairs(), expected.as_slice());
    }

    /// OAuth 2.1 §3.1, RFC 8707 §2: whatever is sent twice is refused, but for `resource`; and so is NUL.
    #[test]
    fn a_parameter_is_sent_once_unless_it_is_resource(
        pairs in prop::collection::vec((select(&["a", "a", "b", "resource", "Resource"][..]), prop_oneof![15 => "a{0,2}", 1 => "a?\u{0}"]), 0..6)
    ) {
        let params = Params::parse(&encode(pairs.iter().map(|(name, value)| (*name, value.as_str().into()))));
        let sent: Vec<_> = pairs.iter().filter(|(_, value)| !value.is_empty()).collect();
        let names: BTreeSet<_> = sent.iter().map(|(name, _)| *name).collect();
        let repeats = names.iter().any(|name| *name != "resource" && sent.iter().filter(|(sent, _)| sent == name).count() > 1);
        let has_nul = sent.iter().any(|(_, value)| value.contains('\0'));
        prop_assert_eq!(params.check().is_ok(), !repeats && !has_nul);
    }
}

const URI: &[&str] = &[
    "https://",
    "http://",
    "HTTPS://",
    "https:",
    "http:/",
    "://",
    "//",
    "/",
    "\\",
    "app.example.com",
    "APP.example.com",
    "evil.example",
    "127.0.0.1",
    "localhost",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "0x7f.1",
    "2130706433",
    "%65vil.example",
    ":443",
    ":80",
    ":8080",
    ":",
    "@",
    "user",
    "?",
    "#",
    "*",
    "a=b",
    "%2f",
    "..",
    "com.example.app:",
    "javascript:",
    "data:",
    "callback",
    "xn--nxasmq6b",
    "\t",
    "é",
];

/// A URI, and the same with a few characters changed.
fn uri_and_variant() -> impl Strategy<Value = (String, String)> {
    let registered = select(
        &[
            "https://app.example.com/callback",
            "https://app.example.com/callback?tenant=1",
            "http://127.0.0.1/callback",
            "http://127.0.0.1:8080/callback",
            "http://[::1]:9000/cb?x",
            "http://localhost",
            "com.example.app:/callback",
        ][..],
    );
    let changes = prop::collection::vec((0..60_usize, 0..6_usize, hostile(URI)), 0..3);
    let port = prop_oneof![Just(String::new()), "(:[0-9]{0,6})?"];
    (registered, changes, port).prop_map(|(registered, changes, port)| {
        let mut variant = registered.to_owned();
        for host in ["127.0.0.1", "[::1]", "localhost"] {
            variant = variant.replace(host, &format!("{host}{port}"));
        }
        for (at, cut, insert) in changes {
            let kept: Vec<char> = variant.chars().collect();
            let at = at.min(kept.len());
            variant = kept[..at].iter().copied().chain(insert.chars()).chain(kept[(at + cut).min(kept.len())..].iter().copied()).collect();
        }
        (registered.to_owned(), variant)
    })
}

/// What someone might ask to register.
fn registration() -> impl Strategy<Value = String> {
    let scheme = select(&["https://", "http://", "HTTPS://", "https:", "com.example.app:", ""][..]);
    prop_oneof![
        (scheme, hostile(URI)).prop_map(|(scheme, rest)| format!("{scheme}{rest}")),
        uri_and_variant().prop_map(|(_, variant)| variant)
    ]
}

/// The parts of a loopback URI beside its port, by another way than the parser's.
fn without_port(uri: &str) -> Option<(String, String)> {
    let loopback =
        regex::Regex::new(r"^http://(127\.0\.0\.1|\[::1\]|localhost)(?::([0-9]+))?((?:[/?](?s:.*))?)$").expect("a regular expression");
    let found = loopback.captures(uri)?;
    let is_port = found.get(2).is_none_or(|port| port.as_str().parse::<u16>().is_ok());
    is_port.then(|| (found[1].to_owned(), found[3].to_owned()))
}

proptest! {
    /// OAuth 2.1 §4.1.3, RFC 8252 §7.3: the same bytes, or for a native app the same but for the port of a loopback host.
    #[test]
    fn a_return_address_is_a_registered_uri_or_differs_in_the_loopback_port((registered, requested) in uri_and_variant()) {
        let uri = RedirectUri::register(&registered, ClientType::Public).expect("a redirect URI");
        let differs_in_port = without_port(&registered).is_some() && without_port(&registered) == without_port(&requested);
        let web = uri.accept(&requested, ApplicationType::Web);
        let native = uri.accept(&requested, ApplicationType::Native);
        prop_assert_eq!(web.is_some(), requested == registered);
        prop_assert_eq!(native.is_some(), requested == registered || differs_in_port);
        for accepted in web.iter().chain(&native) {
            prop_assert_eq!(accepted.as_str(), requested.as_str());
        }
    }

    /// What people are shown is where browsers go, and the response stands in the query.
    #[test]
    fn a_registered_uri_leads_where_it_says(text in registration()) {
        let Ok(uri) = RedirectUri::register(&text, ClientType::Public) else { return Ok(()) };
        prop_assert_eq!(uri.as_str(), text.as_str());
        let address = uri.return_address();
        let url = url::Url::parse(&address.with_query("code=1")).expect("a URL");
        prop_assert!(url.fragment().is_none() && url.username().is_empty() && url.password().is_none());
        prop_assert!(url.query().is_some_and(|query| query == "code=1" || query.ends_with("&code=1") || query.ends_with("?code=1")));
        let shown = address.display_host().to_ascii_lowercase();
        if matches!(url.scheme(), "http" | "https") {
            let host = url.host_str().expect("a host");
            let port = shown.strip_prefix(host).unwrap_or_else(|| panic!("{host} is shown as {shown}"));
            let default = if url.scheme() == "https" { 443 } else { 80 };
            prop_assert!(is_match(":[0-9]+|", port), "{}", shown);
            prop_assert_eq!(port.get(1..).map_or(default, |port| port.parse().expect("a port")), url.port().unwrap_or(default));
        } else {
            prop_assert!(url.scheme().contains('.'));
            prop_assert_eq!(shown, url.scheme());
        }
        prop_assert_eq!(address.is_claimed(), url.scheme() == "https" && text.starts_with("https"));
    }
}

const SCOPE: &[&str] = &["openid", "read", "write", " ", " ", "  ", "\"", "\\", "\t", "!", "~", "\u{7f}", "ü", "\0", ":/."];

fn tokens(text: &str) -> BTreeSet<&str> {
    text.split(' ').filter(|token| !token.is_empty()).collect()
}

proptest! {
    /// OAuth 2.1 §1.4.1: tokens of `%x21 / %x23-5B / %x5D-7E`; what is taken is the same set, written once each.
    #[test]
    fn a_scope_is_the_set_of_its_tokens(text in hostile(SCOPE)) {
        let is_scope = is_match(r"[\x21\x23-\x5B\x5D-\x7E ]*", &text);
        let parsed = Scope::parse(&text);
        prop_assert_eq!(parsed.is_ok(), is_scope);
        let Ok(scope) = parsed else { return Ok(()) };
        prop_assert_eq!(scope.tokens().collect::<BTreeSet<_>>(), tokens(&text));
        prop_assert_eq!(scope.tokens().count(), tokens(&text).len());
        prop_assert_eq!(Scope::parse(&scope.to_string()), Ok(scope));
    }

    /// What is granted is never more than either side has.
    #[test]
    fn scopes_are_combined_as_sets(one in "[a-d ]{0,9}", other in "[a-d ]{0,9}") {
        let (a, b) = (Scope::parse(&one).expect("a scope"), Scope::parse(&other).expect("a scope"));
        let set = |scope: &Scope| scope.tokens().map(str::to_owned).collect::<BTreeSet<_>>();
        prop_assert_eq!(set(&a.limited_to(&b)), &set(&a) & &set(&b));
        prop_assert_eq!(set(&a.joined_with(&b)), &set(&a) | &set(&b));
        prop_assert_eq!(a.is_within(&b), set(&a).is_subset(&set(&b)));
    }

    /// RFC 8707 §2: an absolute URI without fragment, byte for byte.
    #[test]
    fn a_resource_is_an_absolute_uri_without_fragment(text in hostile(URI)) {
        if let Ok(resource) = Resource::parse(&text) {
            prop_assert_eq!(resource.as_str(), text.as_str());
            prop_assert!(is_match(r"[A-Za-z][A-Za-z0-9+.-]*:[\x21-\x7E]*", &text) && !text.contains('#'), "{}", text);
        }
    }

    /// What is granted was registered, what a token is for was granted.
    #[test]
    fn a_request_never_gets_a_resource_of_another(asked in prop::collection::vec(0..4_u8, 0..4), registered in prop::collection::vec(0..4_u8, 0..4)) {
        let named = |numbers: &[u8]| -> Vec<Resource> {
            numbers.iter().map(|number| Resource::parse(&format!("https://{number}.example")).expect("a resource")).collect()
        };
        let (asked, registered) = (named(&asked), named(&registered));
        for granted in [resource::granted(asked.clone(), &registered, None), resource::Target::narrowed(asked, &registered).map(|target| target.resources)].into_iter().flatten() {
            prop_assert!(granted.iter().all(|resource| registered.contains(resource)));
        }
    }

    /// RFC 7636 §4.1: `43*128unreserved`.
    #[test]
    fn a_verifier_is_43_to_128_unreserved_characters(text in prop_oneof!["[A-Za-z0-9._~-]{40,131}", "[ -~]{43,45}", "\\PC{0,50}"]) {
        prop_assert_eq!(CodeVerifier::parse(&text).is_ok(), is_match("[A-Za-z0-9._~-]{43,128}", &text));
    }

    /// OAuth 2.1 §4.1.1: the base64url of 32 bytes.
    #[test]
    fn a_challenge_is_43_characters_of_base64url(text in prop_oneof!["[A-Za-z0-9_-]{41,45}", "[ -~]{43}", "\\PC{0,50}"]) {
        let parsed = CodeChallenge::parse(&text);
        prop_assert_eq!(parsed.is_some(), is_match("[A-Za-z0-9_-]{43}", &text));
        prop_assert!(parsed.is_none_or(|challenge| challenge.as_str() == text));
    }

    /// RFC 7636 §4.6.
    #[test]
    fn a_challenge_is_met_by_its_verifier_alone(verifier in "[A-Za-z0-9._~-]{43,128}", at in any::<prop::sample::Index>(), with in "[A-Za-z0-9._~-]") {
        use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
        use sha2::{Digest, Sha256};
        let challenge = CodeChallenge::parse(&BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier))).expect("a challenge");
        prop_assert!(challenge.is_met_by(&CodeVerifier::parse(&verifier).expect("a verifier")));
        let mut other = verifier.clone();
        let at = at.index(other.len());
        other.replace_range(at..=at, &with);
        prop_assert_eq!(challenge.is_met_by(&CodeVerifier::parse(&other).expect("a verifier")), other == verifier);
    }

    /// OpenID Core §3.1.2.1: `none` stands alone.
    #[test]
    fn a_prompt_has_the_values_that_are_named(text in hostile(&["none", "login", "consent", "select_account", " ", " ", "NONE", "\t"])) {
        let named: Vec<&str> = text.split(' ').filter(|value| !value.is_empty()).collect();
        let parsed = Prompt::parse(&text);
        prop_assert_eq!(parsed.is_ok(), !named.contains(&"none") || named.len() == 1);
        if let Ok(prompt) = parsed {
            let expected = ["none", "login", "consent", "select_account"].map(|value| named.contains(&value));
            prop_assert_eq!([prompt.none, prompt.login, prompt.consent, prompt.select_account], expected);
        }
    }

    /// A registered value, letter by letter.
    #[test]
    fn response_modes_and_grant_types_are_their_registered_values(
        text in prop_oneof!["(query|fragment|form_post|refresh_token|authorization_code|client_credentials)[ a-z]?", ".{0,20}"]
    ) {
        prop_assert_eq!(ResponseMode::parse(&text).map(ResponseMode::as_str), ["query", "form_post"].into_iter().find(|known| *known == text));
        let types = ["authorization_code", "client_credentials", "refresh_token"];
        prop_assert_eq!(GrantType::parse(&text).map(GrantType::as_str), types.into_iter().find(|known| *known == text));
    }

    /// RFC 9068 §5: printable ASCII that no reader takes for a person's id.
    #[test]
    fn a_client_id_is_printable_ascii_and_no_uuid(
        text in prop_oneof!["\\PC{0,40}", "[!-~]{250,260}", "(urn:uuid:)?\\{?[0-9a-fA-F]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}\\}?"]
    ) {
        let has_form = is_match(r"[\x21-\x7E]{1,255}", &text);
        prop_assert_eq!(ClientId::parse(&text).is_ok(), has_form && uuid::Uuid::parse_str(&text).is_err());
    }

    /// RFC 8414 §2: one spelling, over TLS unless on loopback; its parts make the whole.
    #[test]
    fn an_issuer_is_a_url_in_its_one_spelling(text in prop_oneof![hostile(URI), "https?://(id\\.example\\.com|localhost|10\\.0\\.0\\.1)(:[0-9]{1,5})?(/[a-z%.A-Z]{0,5}){0,2}"]) {
        let Ok(issuer) = text.parse::<Issuer>() else { return Ok(()) };
        let url = url::Url::parse(&text).expect("a URL");
        prop_assert_eq!(issuer.as_str(), text.as_str());
        prop_assert_eq!(url.as_str().trim_end_matches('/'), text.as_str());
        prop_assert_eq!(issuer.origin(), url.origin().ascii_serialization());
        prop_assert_eq!(format!("{}{}", issuer.origin(), issuer.path()), text.as_str());
        prop_assert!(issuer.path().is_empty() || issuer.path().starts_with('/') && !issuer.path().ends_with('/'));
        prop_assert!(issuer.is_https() || issuer.is_loopback());
        prop_assert!(url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.password().is_none());
    }
}

const REQUEST: &[&str] = &[
    "response_type=code",
    "&",
    "&",
    "&",
    "code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    "code_challenge_method=S256",
    "scope=",
    "read",
    "%20",
    "openid",
    "redirect_uri=x",
    "resource=https://api.example",
    "resource=https://other.example",
    "prompt=",
    "none",
    "login",
    "max_age=",
    "0",
    "10",
    "99999999999999999999",
    "-1",
    "response_mode=",
    "query",
    "form_post",
    "fragment",
    "state=",
    "zq7",
    "request=zq7",
    "request_uri=zq7",
    "%00",
    "login_hint=zq7",
    "claims=zq7",
];

fn client() -> Arc<Client> {
    let mut client = Client::new(ClientId::parse("app").expect("a client id"), "App".to_owned(), ClientType::Confidential);
    client.scope = Scope::parse("openid read").expect("a scope");
    client.resources = vec![Resource::parse("https://api.example").expect("a resource")];
    client.redirect_uris = vec![RedirectUri::register("https://app.example.com/cb", ClientType::Confidential).expect("a redirect URI")];
    Arc::new(client)
}

fn parsed(params: &Params) -> Result<AuthorizationRequest, OAuthError> {
    let client = client();
    let reply = Reply::new(client.redirect_uris[0].return_address(), &client, params);
    AuthorizationRequest::parse(client, reply, params)
}

/// Every parameter that a request needs, with others around.
fn request() -> impl Strategy<Value = Params> {
    let needed = "response_type=code&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256&redirect_uri=x&";
    prop_oneof![hostile(REQUEST), hostile(REQUEST).prop_map(move |text| format!("{needed}{text}"))].prop_map(|text| Params::parse(&text))
}

proptest! {
    /// OAuth 2.1 §4.1.1, §4.1.2.1: what is followed is within the registration, and reads the same when it comes back sealed; a refusal never echoes.
    #[test]
    fn a_request_is_followed_within_its_registration_or_refused_in_our_own_words(params in request()) {
        match parsed(&params) {
            Ok(request) => {
                prop_assert!(params.check().is_ok());
                prop_assert!(request.scope.is_within(&client().scope) && !request.scope.is_empty());
                prop_assert_eq!(&request.resources, &client().resources);
                prop_assert_eq!(params.get("state"), request.reply.state.as_deref());
                let again = parsed(&request.params).expect("the same request");
                prop_assert_eq!((again.scope, again.resources, again.prompt), (request.scope, request.resources, request.prompt));
                prop_assert_eq!((again.max_age, again.code_challenge), (request.max_age, request.code_challenge));
                prop_assert_eq!(again.params, request.params);
            }
            Err(error) => {
                prop_assert!(is_match(r"[\x20-\x21\x23-\x5B\x5D-\x7E]+", &error.description));
                prop_assert!(!error.description.contains("zq7"), "{}", error);
            }
        }
    }

    /// OpenID Core §3.1.2.1: a number of seconds, of any size.
    #[test]
    fn a_max_age_is_a_number_of_seconds(text in prop_oneof!["[0-9]{1,25}", "[-+ 0-9.e]{1,5}", "\\PC{1,8}"]) {
        let params = Params::from_pairs(
            [("response_type", "code"), ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"), ("code_challenge_method", "S256"), ("redirect_uri", "x"), ("max_age", &text)]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .to_vec(),
        );
        let seconds = parsed(&params).ok().map(|request| request.max_age.expect("a max_age").as_secs());
        prop_assert_eq!(seconds, is_match("[0-9]+", &text).then(|| text.parse().unwrap_or(u64::MAX)));
    }
}

/// The generators above reach what they are about, so that no property holds for want of cases.
#[test]
fn what_is_generated_is_both_taken_and_refused() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    fn both(name: &str, mut is_taken: impl FnMut(&mut TestRunner) -> bool) {
        let mut runner = TestRunner::deterministic();
        let taken = (0..2_000).filter(|_| is_taken(&mut runner)).count();
        assert!((5..1_995).contains(&taken), "{name}: {taken} of 2000");
    }
    fn drawn<T: std::fmt::Debug>(runner: &mut TestRunner, strategy: impl Strategy<Value = T>) -> T {
        strategy.new_tree(runner).expect("a value").current()
    }
    both("requests", |runner| parsed(&drawn(runner, request())).is_ok());
    both("scopes", |runner| Scope::parse(&drawn(runner, hostile(SCOPE))).is_ok());
    both("resources", |runner| Resource::parse(&drawn(runner, hostile(URI))).is_ok());
    both("registrations", |runner| RedirectUri::register(&drawn(runner, registration()), ClientType::Public).is_ok());
    both("ports", |runner| {
        let (registered, requested) = drawn(runner, uri_and_variant());
        let uri = RedirectUri::register(&registered, ClientType::Public).expect("a redirect URI");
        registered != requested && uri.accept(&requested, ApplicationType::Native).is_some()
    });
    let issuers = string_regex("https?://(id\\.example\\.com|localhost)(:[0-9]{1,5})?").expect("a regular expression");
    both("issuers", |runner| drawn(runner, &issuers).parse::<Issuer>().is_ok());
}

//! Signing in as a browser does: from the redirect to the form, and the form's POST.

use std::net::SocketAddr;
use std::sync::LazyLock;

use anyhow::{Context as _, ensure};
use regex::Regex;

use crate::http::{self, Connection, Response};

/// The POST of a filled-in sign-in form, good for as many times as the form is.
pub struct PreparedSignIn {
    pub request: Vec<u8>,
}

impl PreparedSignIn {
    /// Follows the authorization request to the sign-in page and fills in its form.
    pub async fn fetch(
        connection: &mut Connection,
        host: SocketAddr,
        authorization_request: &str,
        (email, password): (&str, &str),
    ) -> anyhow::Result<Self> {
        let issuer = format!("http://{host}");
        let response = connection.exchange(&http::get(host, authorization_request, "")).await?.expect(303)?;
        let location = response.header("location").context("redirected nowhere")?;
        let location = location.strip_prefix(&issuer).unwrap_or(location).to_owned();
        let cookie = cookie_header(&response);

        let page = connection.exchange(&http::get(host, &location, &cookie)).await?.expect(200)?;
        // What the page sets comes with what the redirect set; a later cookie of one name wins.
        let cookie = Some(cookie_header(&page)).filter(|set| !set.is_empty()).unwrap_or(cookie);
        let Form { action, hidden: mut fields } = Form::find(page.body)?;
        fields.push(("email".to_owned(), email.to_owned()));
        fields.push(("password".to_owned(), password.to_owned()));
        let action = action.unwrap_or(location);
        let path = action.strip_prefix(&issuer).unwrap_or(&action);

        let headers = format!("Origin: {issuer}\r\nSec-Fetch-Site: same-origin\r\n{cookie}");
        let body = http::form(fields.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        Ok(Self { request: http::post(&http::post_head(host, path, &headers), &body) })
    }
}

/// The cookies that an answer sets, as the header line that sends them back; empty when it sets none.
pub fn cookie_header(response: &Response<'_>) -> String {
    let set = response.headers("set-cookie").filter_map(|value| value.split(';').next());
    let pairs: Vec<&str> = set.filter(|pair| !pair.ends_with('=')).collect();
    if pairs.is_empty() { String::new() } else { format!("Cookie: {}\r\n", pairs.join("; ")) }
}

/// The form that asks for a password.
struct Form {
    action: Option<String>,
    /// Names and values of the fields that nobody sees.
    hidden: Vec<(String, String)>,
}

impl Form {
    fn find(page: &str) -> anyhow::Result<Self> {
        let asks = |form: &&str| form.contains("name=\"password\"");
        let form = page.split("<form").skip(1).find(asks).context("a page without a sign-in form")?;
        let form = form.split("</form").next().unwrap_or(form);
        ensure!(form.contains("name=\"email\""), "a sign-in form without an e-mail field");
        let opening = form.split('>').next().unwrap_or_default();
        let hidden = form.split("<input").skip(1).filter_map(|input| {
            let input = input.split('>').next()?;
            if attribute(input, "type")? != "hidden" {
                return None;
            }
            Some((attribute(input, "name")?, attribute(input, "value").unwrap_or_default()))
        });
        Ok(Self { action: attribute(opening, "action"), hidden: hidden.collect() })
    }
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    static ATTRIBUTE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#"(?:^|\s)([a-z-]+)="([^"]*)""#).expect("the pattern is fixed"));
    let found = ATTRIBUTE.captures_iter(tag).find(|found| &found[1] == name)?;
    Some(unescape(&found[2]))
}

/// Undoes the escapes of a template: numeric references and the five names.
fn unescape(text: &str) -> String {
    let mut parts = text.split('&');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (reference, rest) = part.split_once(';').unwrap_or(("amp", part));
        let number = reference.strip_prefix('#').and_then(|number| match number.strip_prefix(['x', 'X']) {
            Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16).ok(),
            None => number.parse().ok(),
        });
        plain.push(match (number.and_then(char::from_u32), reference) {
            (Some(character), _) => character,
            (None, "lt") => '<',
            (None, "gt") => '>',
            (None, "quot") => '"',
            (None, "apos") => '\'',
            (None, _) => '&',
        });
        plain.push_str(rest);
    }
    plain
}

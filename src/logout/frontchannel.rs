//! Telling clients by way of the browser (`OpenID` Front-Channel Logout): the pages whose frames log a person out there.

use url::Url;

use crate::{
    error::Result,
    oauth::{Client, WebOrigin},
    server::Server,
    store::session_clients::LogoutNotice,
    tokens::subject,
};

/// A client's page, to be shown in a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub url: String,
    /// The one place that may be framed.
    pub origin: WebOrigin,
}

/// The frames of the clients that registered one.
pub(crate) async fn frames(server: &Server, notices: &[LogoutNotice]) -> Result<Vec<Frame>> {
    let mut frames = Vec::new();
    for notice in notices {
        if let Some(client) = server.client(&notice.client_id).await? {
            let sid = subject::of_session(server, &client, notice.session_id).await?;
            frames.extend(frame(server.config().issuer.as_str(), &client, &sid));
        }
    }
    Ok(frames)
}

/// §2: `iss` and `sid` both or neither, behind the query that is registered.
fn frame(issuer: &str, client: &Client, sid: &str) -> Option<Frame> {
    let mut url = Url::parse(client.metadata.frontchannel_logout_uri.as_deref()?).ok()?;
    // What has none cannot log anyone out.
    let origin = WebOrigin::of(&url)?;
    if client.metadata.frontchannel_logout_session_required {
        url.query_pairs_mut().append_pair("iss", issuer).append_pair("sid", sid);
    }
    Some(Frame { origin, url: url.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::{ClientId, client::ClientType};

    fn framed(uri: &str, session_required: bool) -> Option<Frame> {
        let mut client = Client::new(ClientId::parse("app").unwrap(), "App".to_owned(), ClientType::Confidential);
        client.metadata.frontchannel_logout_uri = Some(uri.to_owned());
        client.metadata.frontchannel_logout_session_required = session_required;
        frame("https://server.example.com", &client, "08a5019c-17e1-4977-8f42-65a12843ea02")
    }

    /// Front-Channel Logout §3.1, its two examples.
    #[test]
    fn iss_and_sid_are_sent_where_they_are_required() {
        let url = |session_required| framed("https://rp.example.org/frontchannel_logout", session_required).unwrap().url;
        assert_eq!(url(false), "https://rp.example.org/frontchannel_logout");
        assert_eq!(
            url(true),
            "https://rp.example.org/frontchannel_logout?iss=https%3A%2F%2Fserver.example.com&sid=08a5019c-17e1-4977-8f42-65a12843ea02"
        );
    }

    #[test]
    fn a_registered_query_stays_and_the_origin_is_without_it() {
        let frame = framed("https://rp.example.org:8443/out?tenant=1", true).unwrap();
        assert!(frame.url.starts_with("https://rp.example.org:8443/out?tenant=1&iss="), "{}", frame.url);
        assert_eq!(frame.origin.to_string(), "https://rp.example.org:8443");
    }

    #[test]
    fn what_is_no_page_is_not_framed() {
        for uri in [
            "javascript:alert(1)",
            "data:text/html,x",
            "com.example.app:/out",
            "https://a;script-src.example/",
            "https://a,b.example/",
            "/out",
            "",
        ] {
            assert_eq!(framed(uri, false), None, "{uri}");
        }
    }
}

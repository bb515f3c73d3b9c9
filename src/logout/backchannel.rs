//! Telling clients that sessions ended (`OpenID` Back-Channel Logout §2.5). What is to be told is in the store since the session
//! ended; whoever tells it leases it first, so that of several nodes one does, and none that dies takes it along.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::{StreamExt, future::join, stream};
use http::{Request, StatusCode, header::CONTENT_TYPE};

use crate::{
    audit::{Actor, AuditEvent, AuditName, Origin},
    error::Result,
    oauth::{Client, ClientId, client::Trust, params},
    server::Server,
    store::{
        Swapped,
        session_clients::{FinishLogout, LeaseLogout, LogoutNotice},
    },
    tokens::logout_token,
};

/// How long after an attempt the next one begins, if that failed or was not finished (§2.5: an appropriate amount of time). Each
/// is longer than an attempt takes.
const RETRY_AFTER: [Duration; 6] = [
    Duration::from_secs(30),
    Duration::from_mins(2),
    Duration::from_mins(10),
    Duration::from_hours(1),
    Duration::from_hours(4),
    Duration::from_hours(12),
];
/// When the last attempt is made again, if whoever made it died in it.
const LAST_LEASE: Duration = Duration::from_mins(1);

/// How many notices are read at once.
const MOST: u32 = 256;
/// How many clients of each kind are told at the same time (§2.3: in parallel).
const AT_ONCE: usize = 16;
/// How long who signs out waits for clients to be told.
const PATIENCE: Duration = Duration::from_secs(2);

/// Tells clients of this kind what is due. Clients that registered themselves hold up none of the operator's.
pub(crate) async fn tell_due(server: &Server, trust: Trust) -> Result<()> {
    loop {
        let notices = server.store().due_logouts(trust, server.clock().now(), MOST).await?;
        let is_all = notices.len() < MOST as usize;
        tell(server, notices).await?;
        if is_all {
            return Ok(());
        }
    }
}

/// Tells at once what just became due, so that who is told that they are signed out mostly is so at the clients, too, and goes
/// back to one that knows (RP-Initiated Logout §3). Where too many are being told, or this takes long, the job sees to the rest.
pub(crate) async fn tell_now(server: &Server, notices: Vec<LogoutNotice>) {
    if notices.is_empty() {
        return;
    }
    let Ok(permit) = Arc::clone(server.tellings()).try_acquire_owned() else { return };
    let server = server.clone();
    let telling = tokio::spawn(async move {
        let _permit = permit;
        if let Err(error) = tell(&server, notices).await {
            tracing::warn!(error = format!("{error:#}"), "clients could not be told of a logout; the job tells them");
        }
    });
    let _ = tokio::time::timeout(PATIENCE, telling).await;
}

async fn tell(server: &Server, notices: Vec<LogoutNotice>) -> Result<()> {
    let mut by_client: BTreeMap<ClientId, Vec<LogoutNotice>> = BTreeMap::new();
    for notice in notices {
        by_client.entry(notice.client_id.clone()).or_default().push(notice);
    }
    let (mut of_strangers, mut others) = (Vec::new(), Vec::new());
    for (client_id, notices) in by_client {
        let client = server.client(&client_id).await?;
        let is_of_a_stranger = client.as_ref().is_some_and(|client| client.trust == Trust::SelfRegistered);
        if is_of_a_stranger { &mut of_strangers } else { &mut others }.push((client, notices));
    }
    let (told, strangers_told) = join(tell_clients(server, others), tell_clients(server, of_strangers)).await;
    told.and(strangers_told)
}

/// All are finished before an error is told.
async fn tell_clients(server: &Server, clients: Vec<(Option<Arc<Client>>, Vec<LogoutNotice>)>) -> Result<()> {
    let told = stream::iter(clients).map(|(client, notices)| tell_client(server, client, notices));
    told.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await.into_iter().collect()
}

/// One after the other: a client that does not answer takes one place, and is asked once.
async fn tell_client(server: &Server, client: Option<Arc<Client>>, notices: Vec<LogoutNotice>) -> Result<()> {
    let uri = client.as_ref().and_then(|client| client.metadata.backchannel_logout_uri.as_deref());
    let Some((client, uri)) = client.as_ref().zip(uri) else {
        for notice in notices {
            server.store().write(FinishLogout { notice, event: None }).await?;
        }
        return Ok(());
    };
    let mut silent = None;
    for notice in notices {
        let Some(notice) = lease(server, notice).await? else { continue };
        let answer = match &silent {
            None => ask(server, client, uri, &notice).await?,
            Some(reason) => Answer::Failed(String::clone(reason)),
        };
        if let Answer::Failed(reason) = &answer {
            silent = Some(reason.clone());
        }
        conclude(server, notice, answer).await?;
    }
    Ok(())
}

/// The notice with its attempt counted, unless someone else has it.
async fn lease(server: &Server, notice: LogoutNotice) -> Result<Option<LogoutNotice>> {
    let now = server.clock().now();
    let until = now.after(retry_after(notice.attempts).unwrap_or(LAST_LEASE));
    let leased = server.store().write(LeaseLogout { notice: notice.clone(), now, until }).await?;
    Ok((leased == Swapped::Done).then(|| LogoutNotice { attempts: notice.attempts + 1, ..notice }))
}

fn retry_after(attempts: i64) -> Option<Duration> {
    usize::try_from(attempts).ok().and_then(|attempts| RETRY_AFTER.get(attempts).copied())
}

/// What a client said.
enum Answer {
    /// §2.8: 200, or the 204 that some frameworks make of it.
    Accepted,
    /// §2.8: 400, which will not get better.
    Refused,
    /// Whatever may pass.
    Failed(String),
}

async fn ask(server: &Server, client: &Client, uri: &str, notice: &LogoutNotice) -> Result<Answer> {
    let token = logout_token::issue(server, client, notice.person_id, notice.session_id).await?;
    let form = params::encode([("logout_token", token.into())]);
    let request = Request::post(uri).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form.into_bytes());
    let Ok(request) = request else { return Ok(Answer::Failed("backchannel_logout_uri is not a URI".to_owned())) };
    Ok(match server.connections().logouts(client.trust).send(request).await {
        Ok(answer) => match answer.status() {
            StatusCode::OK | StatusCode::NO_CONTENT => Answer::Accepted,
            StatusCode::BAD_REQUEST => Answer::Refused,
            status => Answer::Failed(format!("it answered with the status {}", status.as_u16())),
        },
        Err(error) => Answer::Failed(error.to_string()),
    })
}

/// Ends a notice that was accepted or refused, or that was tried often enough.
async fn conclude(server: &Server, notice: LogoutNotice, answer: Answer) -> Result<()> {
    let client_id = &notice.client_id;
    let (name, reason) = match answer {
        Answer::Accepted => (AuditName::LogoutTokenAccepted, None),
        Answer::Refused => (AuditName::LogoutTokenRefused, Some("it answered with the status 400".to_owned())),
        Answer::Failed(reason) if retry_after(notice.attempts - 1).is_none() => (AuditName::LogoutTokenGivenUp, Some(reason)),
        Answer::Failed(reason) => {
            tracing::warn!(client.id = %client_id, attempts = notice.attempts, reason, "a client could not be told of a logout; it is tried again");
            return Ok(());
        }
    };
    if let Some(reason) = &reason {
        tracing::warn!(client.id = %client_id, attempts = notice.attempts, reason, "a client was not told of a logout");
    }
    let mut event = AuditEvent::new(server.clock().now(), name, Actor::Server, Origin::default())
        .about(notice.person_id)
        .of_client(client_id)
        .with("attempts", notice.attempts);
    if let Some(reason) = reason {
        event = event.with("reason", reason);
    }
    server.store().write(FinishLogout { notice, event: Some(event) }).await
}

//! The plan for clients.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    Missing,
    plan::{Action, Change, Field, Kind, Parts, Plan, Told, beside_defaults, differences, yes_or_no},
    step::Step,
};
use crate::{
    error::Result,
    oauth::{
        Client, ClientId,
        client::{ClientType, Contradiction, RefreshRotation, Trust},
        client_secret::ClientSecret,
        registration,
    },
    secret::SecretHash,
    server::Server,
};

/// Adds what is to be done about clients.
pub(super) async fn plan(server: &Server, missing: Missing, plan: &mut Plan) -> Result<()> {
    let owned = server.store().declared_clients().await?;
    let mut owned: BTreeMap<ClientId, Client> = owned.into_iter().map(|client| (client.id.clone(), client)).collect();
    for declared in &server.config().declared.clients {
        let known = match owned.remove(&declared.id) {
            Some(known) => Some(known),
            None => server.store().client(&declared.id).await?,
        };
        match known {
            None => plan.changes.push(created(declared)),
            Some(known) if known.client_type != declared.client_type => plan.refused.push(other_type(declared, &known)),
            Some(known) if declared.first_party && known.trust == Trust::SelfRegistered => plan.refused.push(stranger(declared)),
            Some(known) => {
                let secrets = server.store().client_secrets(&known.id).await?;
                match changed(declared, &known, &secrets) {
                    Some(change) => plan.changes.push(change),
                    None => plan.unchanged += 1,
                }
            }
        }
    }
    for client in owned.into_values() {
        no_longer_declared(client, missing, plan);
    }
    Ok(())
}

fn of(client: &Client, action: Action, declared_in: Option<&String>) -> Change {
    let declared_in = declared_in.cloned().unwrap_or_default();
    Change {
        kind: Kind::Client,
        name: client.id.to_string(),
        action,
        declared_in,
        fields: Vec::new(),
        notes: Vec::new(),
        steps: Vec::new(),
    }
}

fn told(client: &Client, declared_in: Option<&String>, reason: String) -> Told {
    Told { kind: Kind::Client, name: client.id.to_string(), declared_in: declared_in.cloned().unwrap_or_default(), reason }
}

fn created(declared: &Client) -> Change {
    let mut default = parts(&Client::new(declared.id.clone(), String::new(), declared.client_type), 0);
    // A new client always says what it is.
    default.iter_mut().filter(|(name, _)| *name == "client_type").for_each(|(_, values)| values.clear());
    let mut change = of(declared, Action::Created, declared.declared_in.as_ref());
    change.fields = beside_defaults(&default, parts(declared, declared.secrets.len()));
    change.notes.extend(without_secret(declared, declared.secrets.len()));
    change.steps.push(Step::InsertClient(Box::new(declared.clone())));
    change
}

fn changed(declared: &Client, known: &Client, kept: &[ClientSecret]) -> Option<Change> {
    let action = if known.declared_in.is_some() { Action::Updated } else { Action::Adopted };
    let mut after = Client {
        trust: known.trust,
        created_at: known.created_at,
        disabled_at: known.disabled_at,
        tokens_not_before: known.tokens_not_before,
        unused_until: known.unused_until,
        revision: known.revision,
        ..declared.clone()
    };
    after.hold_scope();
    let mut change = of(&after, action, declared.declared_in.as_ref());
    change.fields = differences(&parts(known, 0), &parts(&after, 0));
    if action == Action::Updated && known.declared_in != after.declared_in {
        let place = |client: &Client| ("declared_in", client.declared_in.iter().cloned().collect());
        change.fields.extend(differences(&vec![place(known)], &vec![place(&after)]));
    }
    if action == Action::Adopted || !change.fields.is_empty() {
        change.steps.push(Step::UpdateClient(Box::new(after.clone())));
    }
    change_secrets(&mut change, &after, kept);
    if change.steps.is_empty() {
        return None;
    }
    let secrets = if after.secrets.is_empty() { kept.len() } else { after.secrets.len() };
    change.notes.extend(without_secret(&after, secrets));
    if known.disabled_at.is_some() {
        change.notes.push(format!("it is disabled and stays so: 'grantor client enable {}'", known.id));
    }
    Some(change)
}

/// The secrets of the file are the only ones, or those of before end after a while; without any, those of the command line stay.
fn change_secrets(change: &mut Change, after: &Client, kept: &[ClientSecret]) {
    let declared: Vec<_> = after.secrets.iter().map(|secret| secret.hash.clone()).collect();
    let is_kept = |hash: &SecretHash| kept.iter().any(|kept| kept.is_declared && kept.hash == *hash && kept.ends_at.is_none());
    // What ends by itself was told of when it was given its end.
    let stays = |kept: &ClientSecret| kept.ends_at.is_some() && !after.secret_overlap.is_zero();
    let ended = kept.iter().filter(|kept| !declared.contains(&kept.hash) && !stays(kept)).count();
    let step = Step::DeclareSecrets(after.id.clone(), declared.clone(), after.secret_overlap);
    if declared.is_empty() {
        if kept.iter().any(|kept| kept.is_declared) {
            change.notes.push(format!(
                "its secret is no longer declared, and stays valid: run 'grantor client rotate-secret {} --now' to end it",
                after.id
            ));
            change.steps.push(step);
        }
    } else if ended > 0 || !declared.iter().all(is_kept) {
        let added = declared.iter().filter(|hash| !kept.iter().any(|kept| kept.hash == **hash)).count();
        let ((name, removed), (_, added)) = (secrets(ended), secrets(added));
        if ended > 0 && !after.secret_overlap.is_zero() {
            change.notes.push("the secret of before stays valid for client_secret_overlap".to_owned());
        }
        if ended > 0 || !added.is_empty() {
            change.fields.push(Field { name, removed, added });
        }
        change.steps.push(step);
    }
}

fn without_secret(client: &Client, secrets: usize) -> Option<String> {
    let needs_one = client.client_type == ClientType::Confidential && secrets == 0;
    needs_one.then(|| format!("it has no secret: run 'grantor client rotate-secret {}' to make one", client.id))
}

/// Its tokens and its callers' expectations hang on a client's type.
fn other_type(declared: &Client, known: &Client) -> Told {
    let reason = format!(
        "it is a {} client, and that never changes: declare a {} one under another client_id, or delete this one first",
        known.client_type.as_str(),
        declared.client_type.as_str(),
    );
    told(declared, declared.declared_in.as_ref(), reason)
}

/// Whoever may have its registration access token is not the operator.
fn stranger(declared: &Client) -> Told {
    told(declared, declared.declared_in.as_ref(), Contradiction::FirstPartyStranger.to_string())
}

fn no_longer_declared(client: Client, missing: Missing, plan: &mut Plan) {
    let was_in = client.declared_in.clone();
    let (action, disable) = match missing {
        Missing::Keep => {
            let reason = "'grantor apply --prune' disables it, '--release' leaves it to the command line".to_owned();
            return plan.no_longer_declared.push(told(&client, was_in.as_ref(), reason));
        }
        Missing::Disable => (Action::Disabled, client.disabled_at.is_none()),
        Missing::Release => (Action::Released, false),
    };
    let mut change = of(&client, action, was_in.as_ref());
    if disable {
        change.steps.push(Step::DisableClient(client.id.clone()));
    }
    change.steps.push(Step::UpdateClient(Box::new(Client { declared_in: None, ..client })));
    plan.changes.push(change);
}

/// A client by the names of its keys.
fn parts(client: &Client, secret_count: usize) -> Parts {
    fn texts<T: ToString>(items: &[T]) -> Vec<String> {
        items.iter().map(ToString::to_string).collect()
    }
    let mut parts = vec![
        ("client_name", vec![client.name.clone()]),
        ("client_type", vec![client.client_type.as_str().to_owned()]),
        ("application_type", vec![client.application_type.as_str().to_owned()]),
        ("redirect_uris", texts(&client.redirect_uris)),
        ("grant_types", client.grant_types.iter().map(|grant_type| grant_type.as_str().to_owned()).collect()),
        ("scope", client.scope.tokens().map(str::to_owned).collect()),
        ("resources", texts(&client.resources)),
        ("introspects", texts(&client.introspects)),
        ("first_party", yes_or_no(client.first_party)),
        ("refresh_rotation", yes_or_no(client.refresh_rotation == RefreshRotation::Rotate)),
    ];
    let members = registration::metadata_members(client);
    let of_the_core: Vec<&str> = parts.iter().map(|(name, _)| *name).collect();
    let beyond = registration::names().filter(|name| !of_the_core.contains(name));
    parts.extend(beyond.map(|name| (name, members.get(name).map(in_parts).unwrap_or_default())));
    let localized = client.metadata.localized.iter().map(|(name, text)| format!("{name} = {text}"));
    parts.extend([("in other languages", localized.collect()), secrets(secret_count)]);
    parts
}

/// A list by its items, anything else as it is written.
fn in_parts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().flat_map(in_parts).collect(),
        Value::String(text) => vec![text.clone()],
        Value::Bool(flag) => yes_or_no(*flag),
        other => vec![other.to_string()],
    }
}

/// How many, never which.
fn secrets(count: usize) -> (&'static str, Vec<String>) {
    let told = match count {
        0 => Vec::new(),
        1 => vec!["one".to_owned()],
        more => vec![more.to_string()],
    };
    ("client_secret", told)
}

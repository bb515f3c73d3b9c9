//! The plan for resources.

use std::collections::BTreeMap;

use super::{
    Missing,
    plan::{Action, Change, Kind, Parts, Plan, Told, beside_defaults, differences},
    step::Step,
};
use crate::{
    error::Result,
    oauth::{ProtectedResource, Scope},
    server::Server,
};

/// Adds what is to be done about resources.
pub(super) async fn plan(server: &Server, missing: Missing, plan: &mut Plan) -> Result<()> {
    let registered = server.store().resources().await?;
    let mut registered: BTreeMap<String, ProtectedResource> =
        registered.into_iter().map(|resource| (resource.uri.to_string(), resource)).collect();
    for declared in &server.config().declared.resources {
        match registered.remove(declared.uri.as_str()) {
            None => plan.changes.push(created(declared)),
            Some(known) => match changed(declared, &known) {
                Some(change) => plan.changes.push(change),
                None => plan.unchanged += 1,
            },
        }
    }
    for resource in registered.into_values().filter(|resource| resource.declared_in.is_some()) {
        no_longer_declared(resource, missing, plan);
    }
    Ok(())
}

fn of(resource: &ProtectedResource, action: Action, declared_in: Option<&String>) -> Change {
    let (name, declared_in) = (resource.uri.to_string(), declared_in.cloned().unwrap_or_default());
    Change { kind: Kind::Resource, name, action, declared_in, fields: Vec::new(), notes: Vec::new(), steps: Vec::new() }
}

fn created(declared: &ProtectedResource) -> Change {
    let default = parts(&ProtectedResource::new(declared.uri.clone(), String::new()));
    let mut change = of(declared, Action::Created, declared.declared_in.as_ref());
    change.fields = beside_defaults(&default, parts(declared));
    change.steps.push(Step::InsertResource(Box::new(declared.clone())));
    change
}

fn changed(declared: &ProtectedResource, known: &ProtectedResource) -> Option<Change> {
    let action = if known.declared_in.is_some() { Action::Updated } else { Action::Adopted };
    let after = ProtectedResource { created_at: known.created_at, disabled_at: known.disabled_at, ..declared.clone() };
    if *known == after {
        return None;
    }
    let mut change = of(&after, action, declared.declared_in.as_ref());
    change.fields = differences(&parts(known), &parts(&after));
    if action == Action::Updated {
        let place = |resource: &ProtectedResource| vec![("declared_in", resource.declared_in.iter().cloned().collect())];
        change.fields.extend(differences(&place(known), &place(&after)));
    }
    if known.disabled_at.is_some() {
        change.notes.push(format!("it is disabled and stays so: 'grantor resource enable {}'", known.uri));
    }
    change.steps.push(Step::UpdateResource(Box::new(after)));
    Some(change)
}

fn no_longer_declared(resource: ProtectedResource, missing: Missing, plan: &mut Plan) {
    let was_in = resource.declared_in.clone();
    let action = match missing {
        Missing::Keep => {
            return plan.no_longer_declared.push(Told {
                kind: Kind::Resource,
                name: resource.uri.to_string(),
                declared_in: was_in.unwrap_or_default(),
                reason: "'grantor apply --prune' disables it, '--release' leaves it to the command line".to_owned(),
            });
        }
        Missing::Disable => Action::Disabled,
        Missing::Release => Action::Released,
    };
    let mut change = of(&resource, action, was_in.as_ref());
    let step = if action == Action::Disabled { Step::DisableResource } else { Step::UpdateResource };
    change.steps.push(step(Box::new(ProtectedResource { declared_in: None, ..resource })));
    plan.changes.push(change);
}

/// A resource by the names of its keys.
fn parts(resource: &ProtectedResource) -> Parts {
    vec![
        ("name", vec![resource.name.clone()]),
        ("scope", resource.scope.iter().flat_map(Scope::tokens).map(str::to_owned).collect()),
        ("access_token_ttl", resource.access_token_ttl.iter().map(|ttl| format!("{}s", ttl.as_secs())).collect()),
        ("access_token_signing_alg", resource.access_token_signing_alg.iter().map(|algorithm| algorithm.as_str().to_owned()).collect()),
        ("claims", resource.claims.clone()),
    ]
}

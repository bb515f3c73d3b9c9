//! What everyone may read and machines read all the time: answered before a request is routed, timed or given an id.
//!
//! A document in memory needs none of that, and it is most of what answering one costs (decision 0016). Whatever is not an
//! ordinary `GET` of one goes on to the router, which has the same documents at the same places.

use std::sync::Arc;

use axum::{extract::Request, response::Response};
use http::Method;

use crate::{
    endpoints::{jwks, metadata},
    metrics::RouteMetrics,
    oauth::metadata::{paths, places},
    server::Server,
    web::{cors, headers},
};

#[derive(Clone, Copy)]
enum Document {
    Metadata,
    Jwks,
}

/// The documents by their paths.
pub(super) struct Documents {
    server: Server,
    places: Vec<(String, Document, Arc<RouteMetrics>)>,
}

impl Documents {
    pub(super) fn new(server: &Server) -> Self {
        let issuer = &server.config().issuer;
        let jwks = (format!("{}{}", issuer.path(), paths::JWKS), Document::Jwks);
        let metadata = places(issuer).into_iter().map(|place| (place, Document::Metadata));
        let counted = |(place, document): (String, Document)| {
            let route = server.metrics().route(Some(&place));
            (place, document, route)
        };
        Self { server: server.clone(), places: metadata.chain([jwks]).map(counted).collect() }
    }

    /// The answer, if this is a request for a document and nothing has to be awaited for it.
    pub(super) fn answer(&self, request: &Request) -> Option<Response> {
        // On this level every request is told of, which is the router's affair.
        if request.method() != Method::GET || tracing::enabled!(tracing::Level::DEBUG) {
            return None;
        }
        let path = request.uri().path();
        let (_, document, route) = self.places.iter().find(|(place, ..)| place == path)?;
        let response = match document {
            Document::Metadata => metadata::answer(&self.server, request.headers()),
            Document::Jwks => jwks::answer_from_memory(&self.server, request.headers())?,
        };
        route.count(response.status().as_u16());
        Some(headers::protect(cors::readable(response), &self.server))
    }
}

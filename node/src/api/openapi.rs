use axum::{Json, http::HeaderMap};
use utoipa::{
    OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};

#[derive(OpenApi)]
#[openapi(
    info(title = "meshd", description = "A decentralized node for coordinating work. Problems are RFC 9457 with a stable `code`."),
    modifiers(&Bearer),
    security(("token" = [])),
)]
struct Base;

struct Bearer;

impl utoipa::Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
        document.components.get_or_insert_default().add_security_scheme("token", scheme);
    }
}

pub(super) fn base() -> utoipa::openapi::OpenApi {
    Base::openapi()
}

/// This document: OpenAPI, made from the code that answers.
#[utoipa::path(get, path = "/v1/openapi.json", tag = "node", responses((status = 200, description = "The document")))]
pub async fn document() -> (HeaderMap, Json<utoipa::openapi::OpenApi>) {
    let (_, document) = super::documented().split_for_parts();
    (HeaderMap::new(), Json(document))
}

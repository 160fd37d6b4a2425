use super::{
    super::{ask, bytes, request, send},
    Council,
    council::{START, key},
};
use crate::api::probes;
use axum::http::StatusCode;
use mesh_ledger::{Audit, Ledger, Map, audit::roots};
use mesh_proto::{
    domain::Epoch,
    genesis::Genesis,
    ledger::{Bundle, Certified, Decision, Index, ProposalId},
    pbft::{Ballots, Checkpoint, EpochCertificate, EpochConfig, RequestNumber, Roots, Sequence, Stable, Summary},
};
use std::sync::Arc;
use tower::ServiceExt;

/// Of this state, signed by all founders.
pub fn bundle(genesis: &Genesis, index: Index, state: &Map, proposal: Option<ProposalId>) -> Bundle {
    let (network, root) = (genesis.network_id(), state.root());
    let config = EpochConfig::genesis(genesis.committee.iter().copied()).unwrap();
    let sequence = Sequence::new(index.0);
    let (state_roots, floor) = (roots(&root), RequestNumber::ZERO);
    let summary = Summary { sequence, time: START, state: state_roots, clients: Roots::EMPTY, floor, config };
    let digest = summary.digest();
    let keys = (1..=9).map(key).filter(|key| genesis.committee.contains(&key.node_id()));
    let mut votes: Vec<_> = keys
        .map(|key| {
            let replica = summary.config.replica_of(&key.node_id()).unwrap();
            (replica, Checkpoint::sign(&key, &network, (Epoch(0), replica), sequence, digest).signature)
        })
        .collect();
    votes.sort_unstable();
    let certificate = Stable { epoch: Epoch(0), sequence, digest, votes: Ballots::new(votes).unwrap() };
    let proof = proposal.map(|id| Box::new(Ledger::proof(state, &id).unwrap()));
    let checkpoint = Arc::new(EpochCertificate { summary, certificate });
    Bundle { genesis: genesis.clone(), ends: Vec::new(), certified: Certified { checkpoint, root, proof } }
}

#[tokio::test]
async fn a_state_is_proved_though_nobody_asks_for_anything_else() {
    let council = Council::of(4);
    let api = council.api(5);
    let response = send(&api, request("GET", "/v1/ledger/bundle", "")).await;
    assert_eq!(response.status(), StatusCode::OK);
    let bundle = Bundle::decode(&bytes(response).await).unwrap();
    let audit = Audit::of(&bundle, &api.network).unwrap();
    assert_eq!((audit.index, audit.members.len(), audit.decision), (Index(128), 4, None));
    // It is there now, and needs nobody any more.
    council.silence(true);
    assert_eq!(send(&api, request("GET", "/v1/ledger/bundle?wait=2s", "")).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_decision_is_proved_once_it_is_there() {
    let council = Council::of(4);
    let apis: Vec<_> = (1..=4).map(|seed| council.api(seed)).collect();
    let propose = r#"{"title":"upgrade","body":{"to":"0.2.0"}}"#;
    let (_, proposed) = ask(&apis[0], request("POST", "/v1/proposals", propose)).await;
    let id = proposed["proposal"].as_str().unwrap().to_owned();
    let path = format!("/v1/ledger/bundle?proposal={}", &id[..8]);
    let (status, problem) = ask(&apis[0], request("GET", &path, "")).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &"not_ended".into()), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("meshd proposal watch"), "{problem}");
    for api in &apis[..3] {
        let votes = format!("/v1/proposals/{id}/votes");
        ask(api, request("POST", &votes, r#"{"choice":"approve"}"#)).await;
    }
    // The first that answers shows a checkpoint, and nothing of the decision: another is asked.
    council.lie();
    let response = send(&apis[3], request("GET", &path, "")).await;
    assert_eq!(response.headers()["content-type"], "application/octet-stream");
    let bundle = Bundle::decode(&bytes(response).await).unwrap();
    let audit = Audit::of(&bundle, &apis[0].network).unwrap();
    assert_eq!(audit.decision, Some((id.parse().unwrap(), Decision::Accepted)));

    let unknown = format!("/v1/ledger/bundle?proposal={}", "0".repeat(64));
    assert_eq!(ask(&apis[0], request("GET", &unknown, "")).await.1["code"], "not_found");
    assert_eq!(ask(&apis[0], request("GET", "/v1/ledger/bundle?proposal=1", "")).await.1["code"], "malformed");
}

#[tokio::test]
async fn without_a_quorum_no_checkpoint_comes_and_that_is_said() {
    let council = Council::of(4);
    council.silence(true);
    let (status, problem) = ask(&council.api(1), request("GET", "/v1/ledger/bundle?wait=200ms", "")).await;
    assert_eq!((status, &problem["code"]), (StatusCode::SERVICE_UNAVAILABLE, &"no_quorum".into()), "{problem}");
}

/// Checklist item 37 of pBFT: it may have fewer than four members, and says so.
#[tokio::test]
async fn a_committee_that_tolerates_no_fault_is_warned_of_and_ready() {
    let warned = async |founders: u8| {
        let api = Council::of(founders).api(1);
        let probe = probes::router(&api, api.access.hosts.clone());
        let ready = probe.oneshot(request("GET", "/readyz", "")).await.unwrap();
        assert_eq!(ready.status(), StatusCode::OK);
        let ready: serde_json::Value = serde_json::from_slice(&bytes(ready).await).unwrap();
        let (_, consensus) = ask(&api, request("GET", "/v1/consensus", "")).await;
        let (_, status) = ask(&api, request("GET", "/v1/status", "")).await;
        assert_eq!((&status["ready"], &ready["ok"]), (&true.into(), &true.into()));
        assert_eq!((&ready["warnings"], &status["warnings"]), (&consensus["warnings"], &consensus["warnings"]));
        consensus["warnings"][0].as_str().map(str::to_owned)
    };
    let said = warned(3).await.unwrap();
    assert!(said.contains("3 members tolerates no fault") && said.contains("meshd committee add"), "{said}");
    assert!(warned(1).await.unwrap().contains("1 member tolerates"));
    assert_eq!(warned(4).await, None);
}

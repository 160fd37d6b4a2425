//! What `init`, `invite` and `join` do to a data directory, and what `run` reads from it.

use std::path::Path;
use std::time::Duration;

use mesh_proto::address::Addresses;
use mesh_proto::credential::{AnyInviter, Credential, Member};
use mesh_proto::genesis::{Engine, Founders, Genesis, NetworkName};
use mesh_proto::key::SecretKey;
use mesh_proto::role::Role;
use mesh_proto::time::Wall;
use mesh_proto::token::{InvitationTerms, Token};
use mesh_proto::{codec, limits};

use super::{DataDir, Founding, IdentityError, Roll, bootstrap, data_dir, durable, key};

const GENESIS: &str = "genesis";
const CREDENTIAL: &str = "credential";

/// A node that is a member of a network.
#[derive(Debug)]
pub struct Identity {
    /// The node's key.
    pub key: SecretKey,
    /// Its network.
    pub genesis: Genesis,
    /// What it shows to other members.
    pub credential: Credential,
}

/// What an inviter decides.
#[derive(Clone, Debug)]
pub struct InviteTerms {
    /// The most that whoever joins may be.
    pub role: Role,
    /// How long the token can be used. Users' default: 24 h.
    pub valid_for: Duration,
    /// Members to dial first, at most 8.
    pub bootstrap: Addresses,
}

impl Identity {
    /// Reads who the node of `dir` is. Needs no lock. Fails with [`IdentityError::NoNetwork`] before `init` or `join`,
    /// and where the credential is not good at `now`.
    pub fn load(dir: &Path, now: Wall) -> Result<Self, IdentityError> {
        let no_network = || IdentityError::NoNetwork { path: dir.to_owned() };
        if !dir.is_dir() || data_dir::check_format(dir)?.is_none() {
            return Err(no_network());
        }
        let (genesis, credential) = read_membership(dir)?.ok_or_else(no_network)?;
        let key = key::load(dir)?.ok_or_else(|| {
            IdentityError::damaged(&dir.join("key"), "it is missing, and the credential was given to it")
        })?;
        let identity = Self { key, genesis, credential };
        if identity.credential.node() != identity.key.node_id() {
            let what = format!(
                "it was given to {}, and the key here is {}",
                identity.credential.node(),
                identity.key.node_id()
            );
            return Err(IdentityError::damaged(&dir.join(CREDENTIAL), what));
        }
        identity.member(now).map_err(|error| IdentityError::Credential { path: dir.to_owned(), error })?;
        Ok(identity)
    }

    /// Who the credential says this node is, if it is good at `now`. Whether who invited it may do so, the others judge: this
    /// node cannot know it before it is among them.
    pub fn member(&self, now: Wall) -> Result<Member, mesh_proto::credential::CredentialError> {
        self.credential.verify(&AnyInviter(&self.genesis), now)
    }
}

/// The network that the node of `dir` belongs to, or did: whether it still does, its credential says. Needs no lock.
pub fn genesis(dir: &Path) -> Result<Option<Genesis>, IdentityError> {
    Ok(read_membership(dir)?.map(|(genesis, _)| genesis))
}

/// Makes a key, if there is none, and a network of which this node is the maker and so far the only member. Durable
/// when it returns.
pub fn init(dir: &DataDir, name: NetworkName, open: bool, now: Wall) -> Result<Identity, IdentityError> {
    init_on(dir, name, Engine::Pbft, open, now)
}

/// The same on this engine.
pub fn init_on(
    dir: &DataDir,
    name: NetworkName,
    engine: Engine,
    open: bool,
    now: Wall,
) -> Result<Identity, IdentityError> {
    if let Some((genesis, _)) = read_membership(dir.path())? {
        return Err(IdentityError::AlreadyMember { path: dir.path().to_owned(), network: genesis.name });
    }
    let key = key::load_or_create(dir)?;
    let maker = key.node_id();
    let nonce = *durable::random()?;
    let committee = Founders::alone(maker);
    let genesis = Genesis { name, nonce, maker, engine, open, created: now, committee };
    let credential = Credential::of_maker(&key, &genesis, now);
    // Before the network is there: without it nobody would decide.
    Founding::begin(dir.path())?;
    write_membership(dir, &genesis, &credential)?;
    Ok(Identity { key, genesis, credential })
}

/// Makes a token by which another machine can join, without this node's further help. Changes nothing on disk. `roll`: what
/// is known of the ledger, which says who may; before its first word the network's maker.
pub fn invite(identity: &Identity, roll: Option<&Roll>, terms: InviteTerms, now: Wall) -> Result<Token, IdentityError> {
    let Identity { key, genesis, .. } = identity;
    if genesis.open {
        return Ok(Token::to_open_network(genesis.clone(), terms.bootstrap)?);
    }
    let may_invite = roll.map_or(key.node_id() == genesis.maker, |roll| roll.invites(key.node_id()));
    if !may_invite {
        return Err(IdentityError::NotTheMaker { network: genesis.name.clone(), maker: genesis.maker });
    }
    let invitation_key = SecretKey::from_bytes(&*durable::random()?);
    let expires = now + terms.valid_for;
    let dates = InvitationTerms { role: terms.role, issued: now, expires, member_until: None };
    Ok(Token::invite(key, genesis.clone(), terms.bootstrap, invitation_key, dates)?)
}

/// Makes the node of `dir` a member of the token's network, as `role` or what the token allows. Needs nobody's answer.
/// Durable when it returns; if it dies on the way, the node is what it was before and can join again.
///
/// A member of that network takes the token's invitation in place of its own if it was issued later: so comes back who
/// was forgotten, or whose membership has ended.
pub fn join(dir: &DataDir, token: &str, role: Option<Role>, now: Wall) -> Result<Identity, IdentityError> {
    let token = Token::parse(token, now)?;
    if let Some((present, credential)) = read_membership(dir.path())? {
        let path = dir.path().to_owned();
        if present.network_id() != token.genesis.network_id() {
            let invited = token.genesis.name.clone();
            return Err(IdentityError::OtherNetwork { path, present: present.name, invited });
        }
        if !is_later(&token, &credential) {
            return Err(IdentityError::NotLater { path, network: present.name });
        }
    }
    let key = key::load_or_create(dir)?;
    let credential = token.credential(&key, role, now)?;
    bootstrap::write(dir, &token.bootstrap)?;
    write_membership(dir, &token.genesis, &credential)?;
    Ok(Identity { key, genesis: token.genesis.clone(), credential })
}

/// Whether the token is a later invitation than the credential's. Who was not invited (the maker, members of an open
/// network) stays what it is: a maker that took a token of its own would be less than before.
fn is_later(token: &Token, credential: &Credential) -> bool {
    match (token.invitation(), credential) {
        (Some(invitation), Credential::Invited { .. }) => invitation.issued > credential.invited(),
        (None, _) | (Some(_), Credential::Maker(_) | Credential::Open(_)) => false,
    }
}

/// The credential last: without it the genesis is a leftover of an attempt that died, and may be replaced.
fn write_membership(dir: &DataDir, genesis: &Genesis, credential: &Credential) -> Result<(), IdentityError> {
    durable::replace(dir.path(), GENESIS, &genesis.encode(), durable::PLAIN)?;
    durable::replace(dir.path(), CREDENTIAL, &codec::encode(credential), durable::PLAIN)
}

fn read_membership(dir: &Path) -> Result<Option<(Genesis, Credential)>, IdentityError> {
    let path = dir.join(CREDENTIAL);
    let Some(bytes) = durable::read(&path, limits::CREDENTIAL_BYTES)? else { return Ok(None) };
    let credential = codec::decode_canonical(&bytes, limits::CREDENTIAL_BYTES)
        .map_err(|error| IdentityError::damaged(&path, error))?;
    let path = dir.join(GENESIS);
    let bytes = durable::read(&path, limits::GENESIS_BYTES)?
        .ok_or_else(|| IdentityError::damaged(&path, "it is missing, and there is a credential for it"))?;
    let genesis = Genesis::decode(&bytes).map_err(|error| IdentityError::damaged(&path, error))?;
    Ok(Some((genesis, credential)))
}

#[cfg(test)]
mod tests;

//! The protocol, frame by frame: what drivers rely on and what no driver sends. Mechanisms make no difference here.

mod cancel;
mod copy;
mod extended;
mod greeting;
mod notifications;
mod simple;
mod tls;
mod violations;

use crate::harness::{Mechanism, Shop};

fn shop() -> &'static Shop {
    Shop::shared(Mechanism::Rls)
}

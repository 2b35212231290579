"""Where do several servers share what they know of shoppers? In Redis (or Valkey): `RedisStates`."""

from __future__ import annotations

from bodega.adapters.redis.states import RedisStates, open_states

__all__ = ["RedisStates", "open_states"]

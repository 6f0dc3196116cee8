"""A feed that follows a rig: connected again and again, as often as the connection ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from sv2rig.tui.feed import Feed, FeedError, SchemaError, StreamMessage, decode
from sv2rig.tui.links import RETRY_S, Link, LinkError, Lost


async def follow(
    link: Link, feed: Feed, heard: Sequence[Callable[[StreamMessage], None]] = ()
) -> None:
    """Keep the feed up to date until cancelled. SchemaError where the rig is of another schema: no
    use in trying again."""
    while True:
        try:
            async for said in link.messages():
                if isinstance(said, Lost):
                    feed.lose(said.words)
                    continue
                message = decode(said)
                feed.take(message)
                for hear in heard:
                    hear(message)
        except SchemaError:
            raise
        except (LinkError, FeedError) as error:
            feed.lose(str(error))
        await asyncio.sleep(RETRY_S)


async def first_picture(feed: Feed, following: asyncio.Task[None]) -> None:
    """Wait for it. LinkError where the first try has failed; what `following` raises."""
    while not feed.has_picture:
        changed = asyncio.create_task(feed.changed())
        try:
            await asyncio.wait({changed, following}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()
        if following.done():
            following.result()
        if not feed.has_picture:
            raise LinkError(feed.lost)

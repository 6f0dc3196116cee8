"""The screen that also commands its rig: keys for devices, and the screens over the main one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar

from textual.binding import Binding, BindingType

from sv2rig.api.client import device_path
from sv2rig.rig.snapshot import DeviceSnapshot, SnapshotSource
from sv2rig.tui.app import RigScreen
from sv2rig.tui.device_history import DeviceHistory
from sv2rig.tui.device_table import DeviceTable
from sv2rig.tui.dismissed import Dismissed
from sv2rig.tui.links import Link, LinkError, RefusedError
from sv2rig.tui.text import plain

_STEPS = (1.0, 2.0, 5.0, 10.0, 25.0, 50.0)
_DEVICE_ACTIONS = ("switch", "step", "identify", "reset", "detail")
_MAIN_ACTIONS = ("order", "filter", "troubled_only", "follow", "level", "swap")


class OperatedRig(RigScreen):
    """RigScreen with the keys that command. `ends_rig`: q stops the rig, as in `mine`; else it only
    leaves the screen. `dismissed`: which blocks were seen on other days."""

    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = "ctrl+p"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "detail", "Detail", key_display="↵"),
        Binding("p", "switch('pause')", "Pause"),
        Binding("plus,equals_sign", "step(1)", "Faster", key_display="+", show=False),
        Binding("minus", "step(-1)", "Slower", key_display="-", show=False),
        Binding("e", "switch('enable')", "On/off"),
        Binding("i", "identify", "Identify", show=False),
        Binding("r", "reset", "Reset", show=False),
        Binding("P", "pools", "Pools", key_display="P"),
        Binding("q", "detach", "Detach"),
        Binding("q", "stop_rig", "Stop"),
    ]

    def __init__(
        self,
        source: SnapshotSource,
        *,
        link: Link,
        ends_rig: bool = False,
        dismissed: Dismissed | None = None,
        **options: Any,
    ) -> None:
        super().__init__(source, on_quit=None, control=link, **options)
        self.link = link
        self.ends_rig = ends_rig
        self.history = DeviceHistory()
        self._dismissed = dismissed
        self._in_turn = asyncio.Lock()

    @classmethod
    def _palette(cls) -> Any:
        from sv2rig.tui.palette import RigCommands

        return RigCommands

    COMMANDS: ClassVar[set[Any]] = set()

    def on_mount(self) -> None:
        self.COMMANDS.add(self._palette)

    def poll(self) -> None:
        if self.seen.rig is None and self._dismissed is not None:
            self.seen.skip_blocks(self._dismissed.blocks(self.seen.source.snapshot()))
        super().poll()
        if self.seen.rig is not None:
            self.history.add(self.seen.rig)

    def action_dismiss(self) -> None:
        super().action_dismiss()
        if self._dismissed is not None and self.seen.rig is not None:
            self._dismissed.keep(self.seen.rig)

    # -- commands

    async def ask(self, method: str, path: str, body: Any = None) -> str | None:
        """Carry it out; the words where it is refused."""
        try:
            await self.link.ask(method, path, body)
        except (RefusedError, LinkError) as error:
            return plain(str(error))
        return None

    def command(self, method: str, path: str, body: Any = None, done: str = "") -> None:
        """Carry it out while the screen goes on; a refusal is shown."""

        async def carry_out() -> None:
            refused = await self.ask(method, path, body)
            if refused is not None:
                self.notify(refused, severity="error", markup=False)
            elif done:
                self.notify(done, markup=False)

        self.run_worker(carry_out(), exit_on_error=False)

    def command_device(self, device_id: str, verb: str) -> None:
        """POST of a verb: pause, resume, enable, disable, identify, reset."""
        done = f"{device_id} shows itself" if verb == "identify" else ""
        self.command("POST", device_path(device_id, verb), done=done)

    def confirmed(self, question: str, act: Callable[[], None]) -> None:
        """Do it if the user says yes."""
        from sv2rig.tui.dialogs import Confirm

        def answered(yes: bool | None) -> None:
            if yes:
                act()

        self.push_screen(Confirm(question), answered)

    # -- keys

    @property
    def target(self) -> DeviceSnapshot | None:
        """The device that a key is about: that of the detail screen, or under the cursor."""
        # The palette stands over the detail screen.
        shown = (getattr(screen, "device_id", None) for screen in reversed(self.screen_stack))
        wanted = next(filter(None, shown), None) or self.selected
        rig = self.seen.rig
        return next((d for d in rig.devices if d.id == wanted), None) if rig else None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys about a device work where one is in sight."""
        if action in _DEVICE_ACTIONS:
            on_main = self.screen is self.screen_stack[0]
            return on_main or (action != "detail" and hasattr(self.screen, "device_id"))
        if action in _MAIN_ACTIONS and self.screen is not self.screen_stack[0]:
            return False
        if action in ("detach", "stop_rig"):
            return (action == "stop_rig") == self.ends_rig
        return super().check_action(action, parameters)

    def action_switch(self, what: str) -> None:
        device = self.target
        if device is None:
            return
        if what == "pause":
            verb = "resume" if device.paused else "pause"
        else:
            verb = "disable" if device.enabled else "enable"
        self.command_device(device.id, verb)

    def action_identify(self) -> None:
        if (device := self.target) is not None:
            self.command_device(device.id, "identify")

    def action_reset(self) -> None:
        if (device := self.target) is not None:
            device_id = device.id
            self.confirmed(
                f"Reset {device_id}? It starts anew and mines no work meanwhile.",
                lambda: self.command_device(device_id, "reset"),
            )

    def action_step(self, direction: int) -> None:
        if (device := self.target) is not None:
            self.run_worker(self._step(device.id, direction), exit_on_error=False)

    async def _step(self, device_id: str, direction: int) -> None:
        async with self._in_turn:  # each step is from where the one before led
            try:
                found = await self.link.ask("GET", device_path(device_id))
                wish = next_frequency(found["settings"], direction)
                if wish is None:
                    raise RefusedError(f"{device_id} has no frequency that can be set")
                name, value = wish
                await self.link.ask("PATCH", device_path(device_id, "settings"), {name: value})
            except (RefusedError, LinkError) as error:
                self.notify(plain(str(error)), severity="error", markup=False)
            else:
                self.notify(f"{device_id}: {name} {value:g} MHz", markup=False)

    def action_detail(self) -> None:
        if (device := self.target) is not None:
            self.show_device(device.id)

    def on_device_table_chosen(self, event: DeviceTable.Chosen) -> None:
        self.show_device(event.device_id)

    def show_device(self, device_id: str) -> None:
        from sv2rig.tui.detail import DeviceScreen

        self.push_screen(DeviceScreen(device_id))

    def action_pools(self) -> None:
        from sv2rig.tui.pool_pane import PoolScreen

        if not isinstance(self.screen, PoolScreen):
            self.push_screen(PoolScreen())

    async def action_detach(self) -> None:
        await self.action_quit()

    async def action_stop_rig(self) -> None:
        await self.action_quit()


def next_frequency(settings: list[dict[str, Any]], direction: int) -> tuple[str, float] | None:
    """The name of the frequency's setting and its next value up (1) or down (-1), the limit before
    anything beyond it (which the rig refuses in its words); None where there is none."""
    for setting in settings:
        if setting["name"] in ("frequency", "frequency_mhz"):
            low, high = setting["minimum"], setting["maximum"]
            step = max((s for s in _STEPS if s <= (high - low) / 50), default=_STEPS[0])
            now, limit = setting["value"], high if direction > 0 else low
            beyond = (limit - now) * direction < step
            return setting["name"], limit if beyond and now != limit else now + direction * step
    return None

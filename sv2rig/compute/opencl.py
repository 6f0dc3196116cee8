"""The OpenCL back end: one in-order queue, kernels in two styles, results read without polling."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyopencl as cl

from sv2rig.compute.engine import MAX_VERSION_BITS, EngineError, EngineInfo, Loaded, hits, in_halves
from sv2rig.compute.opencl_probe import OpenClDevice
from sv2rig.devices.work import NONCES, Solution, Work
from sv2rig.kernels.opencl import CAPACITY, OUT_WORDS, RECORD_WORDS, Style, kernel_source
from sv2rig.kernels.prepare import preparation
from sv2rig.kernels.program import Program, search_program

Words = npt.NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Styles:
    """How the kernel for one midstate is written, and the one for several."""

    one: Style
    several: Style

    @property
    def name(self) -> str:
        return self.one.name if self.one == self.several else f"{self.one.name}+{self.several.name}"


class OpenClContext:
    """A device opened: its queue, and the kernels built for it so far.

    EngineError if the device is not there any more, or a kernel cannot be built.
    """

    def __init__(self, device: OpenClDevice) -> None:
        self.device = device
        try:
            platform = cl.get_platforms()[device.platform_index]
            found = platform.get_devices()[device.device_index]
            self.context = cl.Context([found])
            self.queue = cl.CommandQueue(self.context)
        except (cl.Error, IndexError) as error:
            raise EngineError(f"{device.device_id} cannot be opened: {error}") from error
        self._kernels: dict[tuple[Program, Style, bool], Any] = {}

    def kernel(self, program: Program, style: Style, several: bool) -> Any:
        key = (program, style, several)
        if key not in self._kernels:
            self._kernels[key] = self._build(kernel_source(program, style, several), style)
        return self._kernels[key]

    def _build(self, source: str, style: Style) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a compiler's chatter about good code
                built = cl.Program(self.context, source).build(cache_dir=False)
            return cl.Kernel(built, "scan")
        except (cl.Error, RuntimeError) as error:
            reason = str(error).strip().splitlines()[0]
            raise EngineError(
                f"{style.name} cannot be built for {self.device.name}: {reason}"
            ) from error


class _Buffers:
    """What one launch reads and writes; used again by a later one."""

    def __init__(self, context: OpenClContext, words: int) -> None:
        flags = cl.mem_flags
        self.words = cl.Buffer(context.context, flags.READ_ONLY, 4 * words)
        self.out = cl.Buffer(context.context, flags.READ_WRITE, 4 * OUT_WORDS)
        self.host_words: Words = np.zeros(words, np.uint32)
        self.host_out: Words = np.zeros(OUT_WORDS, np.uint32)


class OpenClEngine:
    """Any OpenCL device. Its kernels are built, and run once, when it is made."""

    def __init__(
        self, context: OpenClContext, styles: Styles, program: Program | None = None
    ) -> None:
        self._context = context
        self._styles = styles
        program = program or search_program()
        self._prepare = preparation(program)
        self._one = context.kernel(program, styles.one, several=False)
        self._several = context.kernel(program, styles.several, several=True)
        self._words = len(program.shared_words) + len(program.own_words) * (1 << MAX_VERSION_BITS)
        self._spare: list[_Buffers] = []
        self.info = EngineInfo(
            context.device.name,
            styles.name,
            granularity=max(
                style.nonces * style.local_size * context.device.compute_units
                for style in (styles.one, styles.several)
            ),
        )
        self._run_once()

    def _run_once(self) -> None:
        """Some runtimes compile at a kernel's first launch: let that not be a real one."""
        work = Work(0, 0, 0, 0, bytes(32), bytes(32), 0, 0, target=0, ticket=0, nonce_count=1)
        for bits in (0, 1):
            loaded = self.load(replace(work, version_bits=bits))
            self.launch(loaded, work.ntime, work.nonce_start, work.nonce_count).collect()

    def load(self, work: Work) -> Loaded:
        return Loaded.of(work)

    def launch(
        self, loaded: Loaded, ntime: int, nonce_start: int, nonce_count: int
    ) -> OpenClLaunch:
        several = len(loaded.versions) > 1
        scan = _Scan(
            loaded=loaded,
            ntime=ntime,
            nonces=range(nonce_start, nonce_start + nonce_count),
            style=self._styles.several if several else self._styles.one,
            kernel=self._several if several else self._one,
            words=self._prepare(loaded.midstates, *loaded.tail(ntime)),
        )
        return OpenClLaunch(self, scan, self.enqueue(scan, 0, scan.items))

    def enqueue(self, scan: _Scan, item: int, items: int) -> _Pending:
        """Queues a scan's work-items from `item` on, and the reading of their results."""
        queue = self._context.queue
        buffers = self._spare.pop() if self._spare else _Buffers(self._context, self._words)
        local = scan.style.local_size
        try:
            used = buffers.host_words[: len(scan.words)]
            used[:] = scan.words
            written = cl.enqueue_copy(queue, buffers.words, used, is_blocking=False)
            cl.enqueue_fill_buffer(queue, buffers.out, np.uint32(0), 0, 4)
            scan.kernel(
                queue,
                (-(-items // local) * local,),
                (local,),
                buffers.words,
                np.uint32((scan.nonces.start + item * scan.style.nonces) % NONCES),
                np.uint32(items),
                np.uint32(len(scan.loaded.versions)),
                np.uint32(scan.loaded.top_word),
                buffers.out,
            )
            done = cl.enqueue_copy(queue, buffers.host_out, buffers.out, is_blocking=False)
            queue.flush()
        except cl.Error as error:
            raise EngineError(f"{self.info.name}: a launch failed: {error}") from error
        return _Pending(buffers, written, done)

    def results(self, scan: _Scan, pending: _Pending) -> list[Solution] | None:
        """Waits; the candidates found, or None if they were more than the buffer holds."""
        try:
            pending.done.wait()
        except cl.Error as error:
            raise EngineError(f"{self.info.name}: a launch failed: {error}") from error
        out = pending.buffers.host_out
        found = None if out[0] > CAPACITY else list(scan.candidates(out))
        self._spare.append(pending.buffers)
        return found

    def close(self) -> None:
        self._context.queue.finish()
        self._spare.clear()


@dataclass(frozen=True, slots=True)
class _Pending:
    """`written` is only kept: a copy's event, when dropped, waits for the copy with Python's lock
    held, and in an in-order queue that means for the launches before it."""

    buffers: _Buffers
    written: Any
    done: Any


@dataclass(frozen=True, slots=True)
class _Scan:
    """What is searched, with which kernel."""

    loaded: Loaded
    ntime: int
    nonces: range
    style: Style
    kernel: Any
    words: list[int]

    @property
    def items(self) -> int:
        return -(-len(self.nonces) // self.style.nonces)

    def candidates(self, out: Words) -> Iterator[Solution]:
        """Every nonce that the records name, less those past the range's end."""
        work_id, versions = self.loaded.work.work_id, self.loaded.versions
        count = int(out[0])
        for first, index, mask in (
            out[1 : 1 + count * RECORD_WORDS].reshape(-1, RECORD_WORDS).tolist()
        ):
            for lane in range(self.style.lanes):
                if mask >> lane & 1 and first + lane in self.nonces:
                    yield Solution(work_id, first + lane, versions[index], self.ntime)


class OpenClLaunch:
    def __init__(self, engine: OpenClEngine, scan: _Scan, pending: _Pending) -> None:
        self._engine = engine
        self._scan = scan
        self._pending = pending

    def collect(self) -> list[Solution]:
        found = self._engine.results(self._scan, self._pending)
        if found is None:
            found = in_halves(self._again, 0, self._scan.items)
        return list(hits(self._scan.loaded, found))

    def _again(self, item: int, items: int) -> list[Solution] | None:
        return self._engine.results(self._scan, self._engine.enqueue(self._scan, item, items))

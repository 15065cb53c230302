"""Compile the kernels once, and run them ever after without loading the compiler.

This is the only file that imports numba and llvmlite. `jit` marks a helper, which is compiled as
part of whatever calls it. `entry` marks a function that Python calls; it returns an int64, and its
arguments are declared as text: `"CHANNEL[:]"` is a one-dimensional array of a registered record or
numpy scalar type, `"i8"` is an integer.

The first call on a machine compiles an entry to an object file, which `object_cache` keeps under a
hash of the sources that the entry is made from. Later processes have LLVM link that file, which
takes 0.07 s, instead of importing numba, which takes 0.4 s. Stale code cannot run: numba's own
cache does not see an edit in another file, but the hash covers all of them.

Making object files takes parts of numba that are not public. If a version of numba lacks them, the
entry is compiled by the public `numba.cfunc` with numba's cache in a folder of ours.

These environment variables change that:

- NUMBA_DISABLE_JIT=1 runs the same text as Python, which is slow but easy to debug.
- NUMBA_BOUNDSCHECK=1 compiles with bounds checks, uncached, through numba's dispatcher, so that an
  IndexError reaches Python.
- EDENSIM_COMPILER=public uses numba's public interface only.
- EDENSIM_CACHE names the cache folder.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib.util
import os
import re
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edensim.kernels.object_cache import ObjectCache, announce, announce_once

DISABLED = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")
BOUNDSCHECK = os.environ.get("NUMBA_BOUNDSCHECK", "0") not in ("", "0")
PUBLIC = os.environ.get("EDENSIM_COMPILER", "") == "public"
OPTIONS = {"error_model": "numpy", "boundscheck": BOUNDSCHECK}

#: Array element types that entry declarations may name.
DTYPES: dict[str, np.dtype] = {
    "i8": np.dtype(np.int64),
    "i4": np.dtype(np.int32),
    "u1": np.dtype(np.uint8),
    "u8": np.dtype(np.uint64),
    "f8": np.dtype(np.float64),
}

#: Functions that LLVM's back end may call for loops that fill or copy.
LIBC = ("memset", "memcpy", "memmove", "memcmp")

_machine_code: list[Any] = []  # its owners, which must live as long as the process


def register(name: str, dtype: np.dtype) -> np.dtype:
    """Make a record dtype known to entry declarations."""
    DTYPES[name] = dtype
    return dtype


class Helper:
    """A function for other compiled functions; called from Python, it runs as plain Python."""

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        self.function = function
        self.options = options
        self.__doc__ = function.__doc__

    def __call__(self, *arguments: Any) -> Any:
        """Run the function as plain Python."""
        return self.function(*arguments)

    @functools.cache  # noqa: B019  (helpers live as long as the process)
    def dispatcher(self, public: bool) -> Any:
        """Return numba's dispatcher for the function."""
        return _dispatcher(self.function, public, **self.options)


def jit(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Mark a helper of the kernels, with options for numba."""
    if function is None:
        return lambda f: jit(f, **options)
    return function if DISABLED else Helper(function, options)


def entry(*signature: str) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Mark a function that Python calls, with the types of its arguments."""

    def wrap(function: Callable[..., int]) -> Callable[..., int]:
        return function if DISABLED else Entry(function, signature)

    return wrap


class Entry:
    """A compiled function; arrays are checked, then passed as a pointer and a length."""

    def __init__(self, function: Callable[..., int], signature: tuple[str, ...]) -> None:
        self.function = function
        self.signature = signature
        self.native: Any = None
        self.__doc__ = function.__doc__

    def __call__(self, *arguments: Any) -> int:
        """Run the machine code, which is compiled or loaded before the first call."""
        if self.native is None:
            self.native = self._compiled()
        if BOUNDSCHECK:
            return int(self.native(*arguments))
        flat: list[int] = []
        for kind, argument in zip(self.signature, arguments, strict=True):
            if kind.endswith("[:]"):
                dtype = DTYPES[kind[:-3]]
                if argument.dtype != dtype or argument.ndim != 1 or not argument.flags.c_contiguous:
                    raise TypeError(
                        f"{self.function.__name__}: expected a contiguous 1-D array of {kind[:-3]},"
                        f" got {argument.dtype}, {argument.ndim}-D"
                    )
                flat += (argument.ctypes.data, argument.shape[0])
            else:
                flat.append(int(argument))
        return int(self.native(*flat))

    def _compiled(self) -> Any:
        if BOUNDSCHECK:
            return _dispatcher(self.function, public=True)
        argument_types: list[Any] = []
        for kind in self.signature:
            is_array = kind.endswith("[:]")
            argument_types += [ctypes.c_void_p, ctypes.c_int64] if is_array else [ctypes.c_int64]
        return ctypes.CFUNCTYPE(ctypes.c_int64, *argument_types)(self._address())

    def _address(self) -> int:
        """Return the address of the machine code."""
        module = self.function.__module__
        digest = source_digest(SOURCES, module)
        name = f"{module.removeprefix('edensim.kernels.')}.{self.function.__name__}.{digest}"
        if not PUBLIC:
            try:
                return self._object_address(f"{name}.o")
            except Exception as error:  # what is private can change in any way
                announce_once(
                    f"edensim: numba's inner interface is not as expected ({error!r}); "
                    "its public one is used, which makes each start slower"
                )
        return self._public_address(name)

    def _object_address(self, name: str) -> int:
        """Return the address in an object file, which is compiled if there is none."""
        data = _cache().read(name)
        if data is None:
            self._announce()
            data = _object_file(*self._wrapper(public=False))
            if self._is_current():
                _cache().write(name, data)
        header, _, code = data.partition(b"\n")
        symbol, *imports = header.decode().split()
        return _linked_address(code, symbol, imports)

    def _public_address(self, name: str) -> int:
        """Return the address of code that numba compiles, or loads from its own cache."""
        # numba files its cache by the path of the source.
        name += f".{importlib.util.source_hash(__file__.encode()).hex()}.numba"
        folder = _cache().sealed_folder(name)
        if folder is not None:
            with contextlib.suppress(Exception):  # numba loads it by pickle, which raises anything
                return self._numba_address(folder)
        self._announce()
        folder = _cache().new_folder(name) if self._is_current() else None
        address = self._numba_address(folder)
        if folder is not None:
            _cache().seal(folder, name)
        return address

    def _numba_address(self, folder: Path | None) -> int:
        import numba

        previous = numba.config.CACHE_DIR
        numba.config.CACHE_DIR = str(folder or "")
        try:
            call, signature = self._wrapper(public=True)
            unit = numba.cfunc(signature, cache=folder is not None, **OPTIONS)(call)
        finally:
            numba.config.CACHE_DIR = previous
        _machine_code.append(unit)
        return int(unit.address)

    def _announce(self) -> None:
        # The first compilation is the one silent wait that a user would wonder about.
        announce(f"edensim: compiling {self.function.__name__} (once per version and machine)")

    def _is_current(self) -> bool:
        """Return whether the sources on disk are still those that this process imported."""
        module = self.function.__module__
        return source_digest(read_sources(), module) == source_digest(SOURCES, module)

    def _wrapper(self, public: bool) -> tuple[Callable[..., Any], Any]:
        """Return a function that takes pointers and lengths, and its numba signature."""
        import numba

        parameters: list[str] = []
        call: list[str] = []
        argument_types: list[Any] = []
        for index, kind in enumerate(self.signature):
            if kind.endswith("[:]"):
                record = numba.from_dtype(DTYPES[kind[:-3]])
                parameters += [f"a{index}", f"n{index}"]
                call.append(f"carray(a{index}, (n{index},))")
                argument_types += [numba.types.CPointer(record), numba.types.int64]
            else:
                parameters.append(f"a{index}")
                call.append(f"a{index}")
                argument_types.append(numba.types.int64)
        text = f"def call({', '.join(parameters)}):\n    return function({', '.join(call)})"
        scope = {
            "carray": numba.carray,
            "function": _dispatcher(self.function, public),
            "__name__": self.function.__module__,
        }
        # The text is made from declarations in this package. numba's cache wants a real file and
        # module.
        exec(compile(text, self.function.__code__.co_filename, "exec"), scope)  # noqa: S102
        return scope["call"], numba.types.int64(*argument_types)


def _dispatcher(function: Callable[..., Any], public: bool, **options: Any) -> Any:
    """Return numba's dispatcher for a function that other compiled functions call."""
    import numba

    if not public:
        options |= {
            "pipeline_class": _helper_compiler(),
            "no_cpython_wrapper": True,
            "no_cfunc_wrapper": True,
            # The kernels allocate nothing, so nothing need be reference-counted; numba would count
            # each array at each call. The outermost wrapper makes arrays from pointers and must.
            "_nrt": False,
        }
    return numba.njit(_with_compiled_globals(function, public), **OPTIONS, **options)


def _with_compiled_globals(function: Callable[..., Any], public: bool) -> Callable[..., Any]:
    """Return the function with every helper that it names replaced by numba's dispatcher."""

    def compiled(value: Any) -> Any:
        return value.dispatcher(public) if isinstance(value, Helper) else value

    names = set(function.__code__.co_names)
    scope = {key: compiled(value) for key, value in function.__globals__.items() if key in names}
    scope["__name__"] = function.__module__
    cells = (cell.cell_contents for cell in function.__closure__ or ())
    return types.FunctionType(
        function.__code__,
        scope,
        function.__name__,
        function.__defaults__,
        tuple(types.CellType(compiled(value)) for value in cells),
    )


@functools.cache
def _helper_compiler() -> type:
    """Make a numba compiler that leaves a function as LLVM text.

    The text is optimized and translated once, as part of the entry that uses it. numba's own
    compiler optimizes each function with all that it calls, and translates it, before its callers
    do the same again: that takes twice the time.
    """
    from numba.core import codegen, compiler, typed_passes
    from numba.core.compiler_machinery import LoweringPass, register_pass
    from numba.core.cpu import _dynfunc

    class Text(codegen.JITCodeLibrary):
        """Functions tidied one by one; the rest is left to the library they are linked into."""

        def _optimize_final_module(self) -> None:
            pass

        def _finalize_final_module(self) -> None:
            self._finalized = True

    @register_pass(mutates_CFG=False, analysis_only=True)
    class Publish(LoweringPass):
        """Make the function known to its callers."""

        _name = "edensim_publish"

        def __init__(self) -> None:
            super().__init__()

        def run_pass(self, state: Any) -> bool:
            result = state.cr
            name = result.fndesc.qualname
            stub = _dynfunc.make_function(
                result.fndesc.lookup_module(), name, "", 0, result.env, (state.library,)
            )
            state.targetctx.insert_user_function(stub, result.fndesc, [state.library])
            state.cr = result._replace(cfunc=stub)
            return True

    class HelperCompiler(compiler.CompilerBase):
        def define_pipelines(self) -> list[Any]:
            self.state.flags.no_compile = True
            self.state.library = Text(
                self.state.targetctx.codegen(), self.state.func_id.func_qualname
            )
            self.state.library.enable_object_caching()
            pipeline = compiler.DefaultPassBuilder.define_nopython_pipeline(self.state)
            pipeline.add_pass_after(Publish, typed_passes.NativeLowering)
            pipeline.finalize()
            return [pipeline]

    return HelperCompiler


def _object_file(call: Callable[..., Any], signature: Any) -> bytes:
    """Compile a function; return a line with its symbol and all imports, then an object file.

    LLVM leaves every import open if one is missing, so the line names what the code declares and
    what the back end may add.
    """
    import numba

    unit = numba.cfunc(signature, **OPTIONS)(call)
    text = unit._library.get_llvm_str()
    imports = {
        *re.findall(r"^declare .*?@([\w.]+)\(", text, re.M),
        *re.findall(r"^@([\w.]+) = external", text, re.M),
        *LIBC,
    }
    names = sorted(name for name in imports if not name.startswith("llvm."))
    header = " ".join((unit._wrapper_name, *names)).encode()
    return header + b"\n" + unit._library._get_compiled_object()


def _linked_address(code: bytes, symbol: str, imports: list[str]) -> int:
    """Have LLVM link an object file into this process; return the address of a function in it."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    for name in imports:
        if llvm.address_of_symbol(name) is None:
            llvm.add_symbol(name, _runtime_address(name))
    engine = llvm.create_mcjit_compiler(
        llvm.parse_assembly(""), llvm.Target.from_default_triple().create_target_machine()
    )
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _machine_code.append(engine)
    address = int(engine.get_function_address(symbol))
    if address == 0:
        raise RuntimeError(f"the object file has no function {symbol}")
    return address


def _runtime_address(name: str) -> int:
    """Return the address of a function or object that compiled code imports.

    It comes from the C library or from Python. Anything else is numba's runtime (reference counts,
    exceptions), which the kernels never reach: a function that ends the process stands for it.
    """
    for library in (ctypes.CDLL(None), ctypes.pythonapi):
        if hasattr(library, name):
            return ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0
    return ctypes.cast(ctypes.CDLL(None).abort, ctypes.c_void_p).value or 0


def read_sources() -> dict[str, bytes]:
    """Read every source that compiled code may be made from, by module name."""
    kernels = Path(__file__).parent
    package = kernels.parent
    sources = (*kernels.rglob("*.py"), package / "vocabulary.py")
    return {
        ".".join(("edensim", *path.relative_to(package).with_suffix("").parts)): path.read_bytes()
        for path in sources
    }


#: The sources as this process imported them, since this file is among the first to be imported.
SOURCES = read_sources()


def source_digest(sources: dict[str, bytes], module: str) -> str:
    """Hash a kernel module and all that it imports, directly or not, from edensim.

    An edit elsewhere leaves the module's code as it is.
    """
    closure: set[str] = set()
    waiting = {module, __name__, ObjectCache.__module__}
    while waiting:
        name = waiting.pop()
        closure.add(name)
        waiting |= imported_modules(sources[name]) & sources.keys() - closure
    return importlib.util.source_hash(b"\0".join(sources[name] for name in sorted(closure))).hex()


@functools.cache
def imported_modules(source: bytes) -> frozenset[str]:
    """Return the modules of edensim that a source may import, by dotted name.

    Kernels import by `from edensim.x import y` only (a test checks that), and a regular expression
    finds that in a hundredth of the time of a parser.
    """
    modules: set[str] = set()
    for match in re.finditer(rb"^from (edensim[\w.]*) import (\([^)]*\)|[^\n]*)", source, re.M):
        package, names = match[1].decode(), re.findall(r"\w+", match[2].decode())
        modules |= {package, *(f"{package}.{name}" for name in names)}
    return frozenset(modules)


@functools.cache
def _cache() -> ObjectCache:
    """Open the cache for the versions and the processor that compiled code depends on."""
    versions = f"{np.__version__} {sys.implementation.cache_tag} {OPTIONS}".encode()
    identity = versions + _version_of("numba") + _version_of("llvmlite") + _processor()
    return ObjectCache(importlib.util.source_hash(identity).hex())


def _version_of(package: str) -> bytes:
    """Read the file in which a package states its version.

    Asking for the installed metadata instead would load a mail parser, which takes 0.02 s.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return b""
    version_file = Path(spec.origin).with_name("_version.py")
    return version_file.read_bytes() if version_file.exists() else Path(spec.origin).read_bytes()


def _processor() -> bytes:
    """Return what tells processors apart that need different code."""
    try:
        with open("/proc/cpuinfo", "rb") as file:
            first = file.read(1 << 14).split(b"\n\n")[0]
    except OSError:
        import llvmlite.binding as llvm

        return f"{llvm.get_host_cpu_name()} {llvm.get_host_cpu_features().flatten()}".encode()
    keys = (
        *(b"vendor_id", b"cpu family", b"model", b"stepping", b"flags"),  # x86
        *(b"CPU ", b"Features", b"cpu\t", b"isa"),  # Arm, POWER, RISC-V
    )
    lines = [line for line in first.splitlines() if line.startswith(keys)]
    return os.uname().machine.encode() + b"\n".join(lines)

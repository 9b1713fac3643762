"""Golden data for the MuJoCo environments: Gymnasium's own classes on the system's libmujoco.

    python mujoco_gymnasium.py models FOLDER   compare Rein's MJCF files with Gymnasium's; write tests/golden/mujoco_models.txt
    python mujoco_gymnasium.py steps           write tests/golden/mujoco_steps.txt
    python mujoco_gymnasium.py statistics      write tests/golden/mujoco_statistics.txt (100 episodes each; minutes)

Gymnasium asks for the Python package of a newer MuJoCo than distributions ship. Here a module of the same name stands
in for it, a thin layer over libmujoco.so by ctypes, so that Gymnasium's formulas run unchanged on the library that
Rein is linked with. Needs gymnasium (1.4.0), numpy, a C compiler and libmujoco's headers.
"""

import ctypes
import pathlib
import subprocess
import sys
import tempfile
import types

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
GOLDEN = HERE.parent / "golden"

# ---- libmujoco --------------------------------------------------------------------------------------------------------


class Array(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("type", ctypes.c_char_p), ("data", ctypes.c_void_p),
                ("rows", ctypes.c_int), ("columns", ctypes.c_int)]


def build_access():
    out = pathlib.Path(tempfile.mkdtemp()) / "access.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", out, HERE / "mujoco_access.c", "-lmujoco"], check=True)
    lib = ctypes.CDLL(str(out), mode=ctypes.RTLD_GLOBAL)
    pointer = ctypes.c_void_p
    for name, result, arguments in [
        ("model_array", Array, [pointer, ctypes.c_int]),
        ("data_array", Array, [pointer, pointer, ctypes.c_int]),
        ("option_array", Array, [pointer, ctypes.c_int]),
        ("option_scalars", ctypes.c_int, [pointer, ctypes.c_int, ctypes.POINTER(ctypes.c_char_p),
                                          ctypes.POINTER(ctypes.c_double)]),
        ("model_size", ctypes.c_int, [pointer, ctypes.c_char_p]),
        ("data_time", ctypes.POINTER(ctypes.c_double), [pointer]),
        ("model_timestep", ctypes.c_double, [pointer]),
        ("step", None, [pointer, pointer, ctypes.c_int]),
        ("mj_loadXML", pointer, [ctypes.c_char_p, pointer, ctypes.c_char_p, ctypes.c_int]),
        ("mj_makeData", pointer, [pointer]),
        ("mj_forward", None, [pointer, pointer]),
        ("mj_resetData", None, [pointer, pointer]),
        ("mj_rnePostConstraint", None, [pointer, pointer]),
        ("mj_version", ctypes.c_int, []),
    ]:
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib


LIB = build_access()
TYPES = {b"mjtNum": ctypes.c_double, b"int": ctypes.c_int, b"float": ctypes.c_float, b"mjtByte": ctypes.c_ubyte,
         b"char": ctypes.c_char, b"mjContact": None}


def arrays(get):
    """name -> numpy view, of all arrays that get(i) names."""
    found = {}
    i = 0
    while (a := get(i)).name is not None:
        i += 1
        kind = TYPES[a.type]
        if kind is None or kind is ctypes.c_char:
            continue
        if a.rows * a.columns == 0:
            view = np.zeros((a.rows, a.columns), dtype=kind)
        else:
            view = np.ctypeslib.as_array(ctypes.cast(a.data, ctypes.POINTER(kind)), (a.rows, a.columns))
        found[a.name.decode()] = view
    return found


class Model:
    def __init__(self, path):
        why = ctypes.create_string_buffer(1000)
        self.handle = LIB.mj_loadXML(str(path).encode(), None, why, 1000)
        if not self.handle:
            raise ValueError(why.value.decode())
        for name, view in arrays(lambda i: LIB.model_array(self.handle, i)).items():
            setattr(self, name, view[:, 0] if view.shape[1] == 1 else view)
        self.arrays = arrays(lambda i: LIB.model_array(self.handle, i))
        self.arrays.update(arrays(lambda i: LIB.option_array(self.handle, i)))
        for name in ("nq", "nv", "nu", "na", "nbody"):
            setattr(self, name, LIB.model_size(self.handle, name.encode()))
        self.opt = types.SimpleNamespace(timestep=LIB.model_timestep(self.handle))
        self.vis = types.SimpleNamespace(global_=types.SimpleNamespace(offwidth=0, offheight=0))

    @classmethod
    def from_xml_path(cls, path):
        model = cls(path)
        # body names, for data.body(name): Gymnasium asks for these three
        names = {"ant.xml": {"torso": 1}, "reacher.xml": {"fingertip": 3, "target": 4}}
        model.names = names.get(pathlib.Path(path).name, {})
        return model

    def options(self):
        name, value = ctypes.c_char_p(), ctypes.c_double()
        found, i = {}, 0
        while LIB.option_scalars(self.handle, i, ctypes.byref(name), ctypes.byref(value)):
            found[name.value.decode()] = value.value
            i += 1
        return found


class Data:
    def __init__(self, model):
        self.model = model
        self.handle = LIB.mj_makeData(model.handle)
        for name, view in arrays(lambda i: LIB.data_array(model.handle, self.handle, i)).items():
            setattr(self, name, view[:, 0] if view.shape[1] == 1 else view)
        LIB.mj_resetData(model.handle, self.handle)

    def body(self, which):
        return types.SimpleNamespace(xpos=self.xpos[which if isinstance(which, int) else self.model.names[which]])

    @property
    def time(self):
        return LIB.data_time(self.handle)[0]


def stand_in():
    module = types.ModuleType("mujoco")
    module.__version__ = "2.2.2"
    module.MjModel, module.MjData = Model, Data
    module.mj_step = lambda m, d, nstep=1: LIB.step(m.handle, d.handle, nstep)
    for name in ("mj_forward", "mj_resetData", "mj_rnePostConstraint"):
        setattr(module, name, lambda m, d, call=getattr(LIB, name): call(m.handle, d.handle))
    sys.modules["mujoco"] = module
    rendering = types.ModuleType("gymnasium.envs.mujoco.mujoco_rendering")
    rendering.MujocoRenderer = lambda *arguments, **named: None
    sys.modules["gymnasium.envs.mujoco.mujoco_rendering"] = rendering


stand_in()
import gymnasium  # noqa: E402

# ---- models -----------------------------------------------------------------------------------------------------------

MODELS = ["half_cheetah", "hopper", "walker2d", "walker2d_v5", "swimmer", "ant", "humanoid", "reacher",
          "inverted_pendulum", "inverted_double_pendulum"]
PHYSICAL = ("qpos0", "qpos_spring", "body_", "jnt_", "dof_", "geom_", "site_", "tendon_", "wrap_", "actuator_", "eq_",
            "exclude_", "pair_", "gravity", "wind", "magnetic", "o_sol")
# what is only seen, and what only says where things lie, which the arrays that stay would give away
OTHER = ("_rgba", "_matid", "_user", "_group", "adr", "num", "_rootid", "_weldid", "_mocapid", "_simplenum", "_sameframe",
         "_bodyid", "_Madr", "_simple")


def is_physical(name):
    return name.startswith(PHYSICAL) and not name.endswith(OTHER)


def fnv(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value


def compare_models(folder):
    theirs_at = pathlib.Path(gymnasium.__file__).parent / "envs" / "mujoco" / "assets"
    rows = [f"# libmujoco {LIB.mj_version()}: model, array, numbers, FNV-1a of its bytes"]
    differing = 0
    for name in MODELS:
        ours, theirs = Model(pathlib.Path(folder) / f"{name}.xml"), Model(theirs_at / f"{name}.xml")
        for key, value in theirs.options().items():
            if ours.options()[key] != value:
                print(f"{name}: option {key} is {ours.options()[key]}, should be {value}")
                differing += 1
            rows.append(f"{name} opt.{key} {value!r}")
        for key, value in theirs.arrays.items():
            if not is_physical(key):
                continue
            mine = ours.arrays[key]
            if mine.shape != value.shape or mine.tobytes() != value.tobytes():
                worst = np.abs(mine - value).max() if mine.shape == value.shape else f"{mine.shape} {value.shape}"
                print(f"{name}: {key} differs: {worst}")
                differing += 1
            if value.size:
                rows.append(f"{name} {key} {value.size} {fnv(value.tobytes()):016x}")
    (GOLDEN / "mujoco_models.txt").write_text("\n".join(rows) + "\n")
    print(f"{len(MODELS)} models, {len(rows) - 1} rows, {differing} differences")
    return differing


# ---- steps ------------------------------------------------------------------------------------------------------------

FREE = 20  # steps that run freely from a start


class Plan:
    """What is recorded of an environment: full states every `state` steps of the free run and observations every `obs`
    steps of it, then `later` single steps from states deep in episodes."""

    def __init__(self, id, state=2, obs=1, later=6, settings=(), free=FREE):
        self.id, self.state, self.obs, self.later, self.free = id, state, obs, later, free
        self.settings = dict(settings)


PLANS = [
    Plan("HalfCheetah-v4"), Plan("HalfCheetah-v5", 20, 5, 2),
    Plan("Hopper-v4"), Plan("Hopper-v5", 20, 5, 6),
    Plan("Walker2d-v4"), Plan("Walker2d-v5", 4, 2, 6),
    Plan("Swimmer-v4"), Plan("Swimmer-v5", 20, 5, 2),
    Plan("Ant-v4", 4, 2), Plan("Ant-v5", 20, 5, 6),
    Plan("Humanoid-v4", 10, 10, 2), Plan("Humanoid-v5", 20, 10, 3),
    Plan("InvertedPendulum-v4"), Plan("InvertedPendulum-v5"),
    Plan("InvertedDoublePendulum-v4"), Plan("InvertedDoublePendulum-v5"),
    Plan("Reacher-v4"), Plan("Reacher-v5"),
    # settings that change what is seen, paid for, or ended
    Plan("Hopper-v4", 20, 4, 3, {"terminate_when_unhealthy": False, "exclude_current_positions_from_observation": False,
                                 "healthy_reward": 3.0, "ctrl_cost_weight": 0.5}, 8),
    Plan("Ant-v4", 20, 4, 2, {"use_contact_forces": True, "forward_reward_weight": None}, 8),
    Plan("Ant-v5", 20, 4, 2, {"include_cfrc_ext_in_observation": False, "forward_reward_weight": 2.0}, 8),
    Plan("Humanoid-v5", 20, 4, 2, {"include_cinert_in_observation": False, "include_cvel_in_observation": False,
                                   "include_cfrc_ext_in_observation": False, "contact_cost_weight": 1e-3}, 8),
    Plan("HalfCheetah-v5", 20, 4, 1, {"frame_skip": 3, "forward_reward_weight": 2.0}, 8),
]


def place(env, id):
    """What the next reward is measured from."""
    if id.startswith("Ant"):
        return [*env.data.xpos[1][:2], 0.0]
    if id.startswith("Humanoid"):
        mass = env.model.body_mass
        return [*((mass[:, None] * env.data.xipos).sum(0) / mass.sum())[:2], 0.0]
    if id.startswith("Reacher"):
        return list(env.data.body("fingertip").xpos - env.data.body("target").xpos)
    if id.startswith("Inverted"):
        return [0.0, 0.0, 0.0]
    return [*env.data.qpos[:2], 0.0]


def full_state(env, id):
    d = env.data
    return [d.time, *d.qpos, *d.qvel, *d.act, *d.qacc_warmstart, *place(env, id)]


def words(numbers, form):
    return " ".join(form % x for x in numbers)


def record(env, plan, rng, with_state, with_obs, rows):
    state = full_state(env, plan.id)
    action = rng.uniform(env.action_space.low, env.action_space.high).astype(np.float32)
    # Gymnasium adds up the squares of 32-bit actions in 32 bits; given the same numbers in 64 it does so in 64
    obs, reward, terminated, truncated, _ = env.step(action.astype(np.float64))
    assert not truncated
    rows.append("step %d %.10g" % (terminated, reward))
    rows.append("action " + words(action, "%.9g"))
    if with_state:
        rows.append("state " + words(state, "%.17g"))
    if with_obs:
        rows.append("obs " + words(obs, "%.9g"))
    return terminated


def make(plan):
    settings = {key: value for key, value in plan.settings.items() if value is not None}
    return gymnasium.make(plan.id, disable_env_checker=True, **settings).unwrapped


def record_steps():
    rows = [f"# Gymnasium {gymnasium.__version__} on libmujoco {LIB.mj_version()}, by tests/reference/mujoco_gymnasium.py",
            "# env ID [setting=value ...]; `run`: steps that follow each other; `single`: one step from its state"]
    for number, plan in enumerate(PLANS):
        env = make(plan)
        rng = np.random.default_rng(1000 + number)
        settings = "".join(f" {key}={str(value).lower()}" for key, value in plan.settings.items() if value is not None)
        m = env.model
        rows.append(f"env {plan.id}{settings}")
        rows.append(f"sizes {m.nq} {m.nv} {m.na} {m.nu} {env.observation_space.shape[0]}")
        env.reset(seed=number)
        rows.append("run")
        for t in range(plan.free):
            last = t == plan.free - 1
            record(env, plan, rng, t % plan.state == 0, t % plan.obs == plan.obs - 1 or last, rows)
        later, t, ended = plan.later, 0, False
        env.reset(seed=1000 + number)
        while later > 0:
            # single steps: every 17th, and the one in which an episode ends, found by looking one step ahead
            t += 1
            if t % 17 == 0 or (ended_next(env, rng) and not ended):
                rows.append("single")
                ended = record(env, plan, rng, True, True, rows)
                later -= 1
            else:
                action = rng.uniform(env.action_space.low, env.action_space.high).astype(np.float32)
                ended = env.step(action)[2]
            if ended or t % 50 == 0:
                env.reset(seed=2000 + number + t)
                ended = False
    (GOLDEN / "mujoco_steps.txt").write_text("\n".join(rows) + "\n")
    print(len(rows), "rows", (GOLDEN / "mujoco_steps.txt").stat().st_size, "bytes")


def ended_next(env, rng):
    """Whether the step with the action that rng will draw next ends the episode; neither is changed."""
    d, m = env.data, env.model
    kept = {name: getattr(d, name).copy() for name in ("qpos", "qvel", "act", "qacc_warmstart", "xpos", "xipos", "cfrc_ext")}
    time = d.time
    draw = np.random.Generator(type(rng.bit_generator)())
    draw.bit_generator.state = rng.bit_generator.state
    ended = env.step(draw.uniform(env.action_space.low, env.action_space.high).astype(np.float32))[2]
    for name, value in kept.items():
        getattr(d, name)[...] = value
    LIB.data_time(d.handle)[0] = time
    return ended


# ---- statistics -------------------------------------------------------------------------------------------------------

EPISODES = 100


def record_statistics():
    rows = [f"# Gymnasium {gymnasium.__version__} on libmujoco {LIB.mj_version()}: {EPISODES} episodes of uniform random actions",
            "# id, mean and standard deviation of the returns, of the lengths"]
    for plan in PLANS[:18]:
        env = gymnasium.make(plan.id, disable_env_checker=True)
        rng = np.random.default_rng(7)
        low, high = env.action_space.low, env.action_space.high
        returns, lengths = [], []
        for episode in range(EPISODES):
            env.reset(seed=episode)
            total, length, done = 0.0, 0, False
            while not done:
                _, reward, terminated, truncated, _ = env.step(rng.uniform(low, high).astype(np.float32))
                total, length, done = total + reward, length + 1, terminated or truncated
            returns.append(total)
            lengths.append(length)
        rows.append("%s %.8g %.8g %.8g %.8g" % (plan.id, np.mean(returns), np.std(returns, ddof=1), np.mean(lengths),
                                                np.std(lengths, ddof=1)))
        print(rows[-1], flush=True)
    (GOLDEN / "mujoco_statistics.txt").write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    what = sys.argv[1] if len(sys.argv) > 1 else ""
    if what == "models" and len(sys.argv) > 2:
        sys.exit(1 if compare_models(sys.argv[2]) else 0)
    elif what == "steps":
        record_steps()
    elif what == "statistics":
        record_statistics()
    else:
        sys.exit(__doc__)

/* Answer CPUID as a processor with AVX2 and nothing newer; see older_processor.py, which compiles this. */
#define _GNU_SOURCE
#include <cpuid.h>
#include <dlfcn.h>
#include <signal.h>
#include <string.h>
#include <ucontext.h>

#define BIT(n) (1u << (n))

/* Intel's manual, volume 2A, CPUID: the bits of leaf 7 that stand for AVX-512 and AMX */
static const unsigned NEWER_B = BIT(16) | BIT(17) | BIT(21) | BIT(26) | BIT(27) | BIT(28) | BIT(30) | BIT(31);
static const unsigned NEWER_C = BIT(1) | BIT(6) | BIT(11) | BIT(12) | BIT(14);
static const unsigned NEWER_D = BIT(2) | BIT(3) | BIT(8) | BIT(22) | BIT(23) | BIT(24) | BIT(25);

static int (*next_sigaction)(int, const struct sigaction *, struct sigaction *);

static void answer(int signal_number, siginfo_t *info, void *context) {
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    const unsigned char *code = (const unsigned char *)registers[REG_RIP];
    (void)info;
    if (code[0] != 0x0e || code[1] != 0x90) { /* not one of ours: a true fault */
        signal(signal_number, SIG_DFL);
        return;
    }
    unsigned leaf = (unsigned)registers[REG_RAX], part = (unsigned)registers[REG_RCX], a, b, c, d;
    __cpuid_count(leaf, part, a, b, c, d);
    if (leaf == 7 && part == 0) {
        b &= ~NEWER_B;
        c &= ~NEWER_C;
        d &= ~NEWER_D;
    } else if (leaf == 7 || leaf == 0x1d || leaf == 0x1e || leaf == 0x24) { /* AVX-VNNI, BF16, AMX, AVX10 */
        a = b = c = d = 0;
    }
    registers[REG_RAX] = a;
    registers[REG_RBX] = b;
    registers[REG_RCX] = c;
    registers[REG_RDX] = d;
    registers[REG_RIP] += 2;
}

/* nobody may take the signal away */
int sigaction(int number, const struct sigaction *wanted, struct sigaction *old) {
    if (!next_sigaction) next_sigaction = dlsym(RTLD_NEXT, "sigaction");
    if (number != SIGILL || !wanted) return next_sigaction(number, wanted, old);
    if (old) memset(old, 0, sizeof *old);
    return 0;
}

__attribute__((constructor(101))) static void start(void) {
    struct sigaction taken;
    memset(&taken, 0, sizeof taken);
    taken.sa_sigaction = answer;
    taken.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
    next_sigaction = dlsym(RTLD_NEXT, "sigaction");
    next_sigaction(SIGILL, &taken, NULL);
}

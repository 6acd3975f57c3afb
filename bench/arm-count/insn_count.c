/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A plugin for qemu-user 7 and newer that counts the instructions a program executes between two marks and prints the counts.
 *
 * A mark is a write to file descriptor -1: the program sees an error, the plugin sees the call. Its first bytes name what is
 * counted until the next mark. The count is exact and the same in every run.
 *
 * Distributions do not package qemu-plugin.h; what is used of its interface, version 1, is declared here. */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
typedef struct qemu_info_t qemu_info_t;
enum { OP_ADD_U64 = 0 };

typedef void (*block_callback)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);
typedef void (*syscall_callback)(qemu_plugin_id_t id, unsigned vcpu, int64_t number, uint64_t a1, uint64_t a2,
                                 uint64_t a3, uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, block_callback callback);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, int op, void *counter, uint64_t add);
void qemu_plugin_register_vcpu_syscall_cb(qemu_plugin_id_t id, syscall_callback callback);

EXPORT int qemu_plugin_version = 1;
static uint64_t executed;

/* a block of instructions is executed whole: only its last one can leave it */
static void block_translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_inline(tb, OP_ADD_U64, &executed, qemu_plugin_tb_n_insns(tb));
}

/* the system call write, with descriptor -1: a mark, whose number is the length */
static void called(qemu_plugin_id_t id, unsigned vcpu, int64_t number, uint64_t a1, uint64_t a2, uint64_t a3,
                   uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8)
{
    enum { WRITE = 64 }; /* AArch64 */
    if (number == WRITE && (int32_t)a1 == -1) {
        fprintf(stderr, "mark %" PRIu64 " %" PRIu64 "\n", a3, executed);
    }
    (void)id, (void)vcpu, (void)a2, (void)a4, (void)a5, (void)a6, (void)a7, (void)a8;
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    (void)info, (void)argc, (void)argv;
    qemu_plugin_register_vcpu_tb_trans_cb(id, block_translated);
    qemu_plugin_register_vcpu_syscall_cb(id, called);
    return 0;
}

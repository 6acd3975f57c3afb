/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Names that several files of the library share get its prefix here: they stay short in the sources and cannot clash with
 * anything in a program that links liblogprob.a. scripts/ci/symbols.sh finds the ones that are missing. */
#ifndef LP_NAMES_H
#define LP_NAMES_H
#define active_kernels lp_internal_active_kernels
#define choose_kernels lp_internal_choose_kernels
#define far_bytes lp_internal_far_bytes
#define kernels_avx2 lp_internal_kernels_avx2
#define kernels_avx512 lp_internal_kernels_avx512
#define kernels_neon lp_internal_kernels_neon
#define kernels_scalar lp_internal_kernels_scalar
#define logits_check lp_internal_logits_check
#define logits_prepared_at lp_internal_logits_prepared_at
#define logits_row lp_internal_logits_row
#define logits_scan lp_internal_logits_scan
#define logits_scan_some lp_internal_logits_scan_some
#define partial_blocks lp_internal_partial_blocks
#define push_other lp_internal_push_other
#define row_exp_parts lp_internal_row_exp_parts
#define row_finish lp_internal_row_finish
#define row_finish_some lp_internal_row_finish_some
#define row_hold lp_internal_row_hold
#define row_init lp_internal_row_init
#define row_merge lp_internal_row_merge
#define size_product lp_internal_size_product
#define slot_part lp_internal_slot_part
#define slot_put lp_internal_slot_put
#define state_coverage lp_internal_state_coverage
#define state_holds lp_internal_state_holds
#define state_top lp_internal_state_top
#define state_used lp_internal_state_used
#define topk_offer lp_internal_topk_offer
#define topk_offer_sorted lp_internal_topk_offer_sorted
#define topk_sort lp_internal_topk_sort
#endif

ORIGINALS = dict.fromkeys(
    "llm_components from_zero async_gpu serverless registry_to_canary shadow multi_model instance_pools vpc_and_kms many_teams two_regions multi_account".split()
)

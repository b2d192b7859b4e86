"""What of Modal's protocol the emulator stands on.

Every RPC it answers, and every field it reads or writes. A test compares this with its source, and
with the messages of the oldest and the newest version of ``modal`` that gpuhub is tested with.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["FIELDS", "IGNORED", "RPCS"]

RPCS = """
    AppClientDisconnect AppCountLogs AppCreate AppDeploymentHistory AppFetchLogs
    AppGetByDeploymentName AppGetInfo AppGetLayout AppGetLifecycle AppGetLogs AppGetOrCreate
    AppGetTags AppHeartbeat AppList AppPublish AppRollback AppRollover AppSetTags AppStop
    BlobCreate BlobGet ClassCreate ClassGet ClientHello ContainerHeartbeat ContainerHello
    ContainerStop EnvironmentCreate EnvironmentGetOrCreate EnvironmentList FunctionBindParams
    FunctionCallCancel FunctionCallFromId FunctionCallGetDataIn FunctionCallGetDataOut
    FunctionCallGetInfo FunctionCallPutDataOut FunctionCreate FunctionFinishInputs FunctionGet
    FunctionGetById FunctionGetCallGraph FunctionGetCurrentStats FunctionGetDynamicConcurrency
    FunctionGetInputs FunctionGetOutputs FunctionGetSchedulingParams FunctionMap
    FunctionPrecreate FunctionPutInputs FunctionPutOutputs FunctionRetryInputs
    FunctionUpdateSchedulingParams ImageFromId ImageGetByTag ImageGetOrCreate ImageJoinStreaming
    ImagePublish MountBatchedCheckExistence MountGetOrCreate MountPutFile SecretDelete
    SecretGetInfo SecretGetOrCreate SecretList SecretUpdate TaskList TaskResult VolumeCommit
    VolumeDelete VolumeGetById VolumeGetFile VolumeGetFile2 VolumeGetOrCreate VolumeHeartbeat
    VolumeList VolumeListFiles VolumePutFiles VolumeReload VolumeRemoveFile VolumeRename
    WorkspaceNameLookup
"""
"""Names of the RPCs that are answered, apart by space."""

FIELDS: Mapping[str, str] = {
    "AppClientDisconnectRequest": "app_id",
    "AppCountLogsRequest": (
        "app_id bucket_secs function_call_id function_id search_text since source task_id until"
    ),
    "AppCountLogsResponse": "app_id buckets",
    "AppCountLogsResponse.LogBucket": "bucket_start_at stderr_logs stdout_logs system_logs",
    "AppCreateRequest": "app_state description environment_name tags",
    "AppCreateResponse": "app_id app_logs_url app_page_url",
    "AppDeploymentHistory": (
        "app_id client_version commit_info deployed_at deployed_by rollback_allowed "
        "rollback_version tag version"
    ),
    "AppDeploymentHistoryRequest": "app_id",
    "AppDeploymentHistoryResponse": "app_deployment_histories production_app_version",
    "AppFetchLogsRequest": (
        "app_id function_call_id function_id limit search_text since source task_id until"
    ),
    "AppFetchLogsResponse": "batches",
    "AppGetByDeploymentNameRequest": "environment_name name",
    "AppGetByDeploymentNameResponse": "app_id environment_name lifecycle previous_app_id",
    "AppGetInfoRequest": "app_id",
    "AppGetInfoResponse": "info",
    "AppGetLayoutRequest": "app_id",
    "AppGetLayoutResponse": "app_layout",
    "AppGetLifecycleRequest": "app_id",
    "AppGetLifecycleResponse": "lifecycle",
    "AppGetLogsRequest": (
        "app_id file_descriptor function_call_id function_id last_entry_id search_text "
        "task_id timeout"
    ),
    "AppGetOrCreateRequest": "app_name environment_name object_creation_type",
    "AppGetOrCreateResponse": "app_id handle_metadata",
    "AppGetTagsRequest": "app_id",
    "AppGetTagsResponse": "tags",
    "AppHandleMetadata": "app_id description environment_name functions lifecycle",
    "AppHeartbeatRequest": "",
    "AppLayout": "class_ids function_ids objects",
    "AppLifecycle": (
        "app_state created_at created_by deployed_at deployed_by stopped_at stopped_by version"
    ),
    "AppListRequest": "environment_name",
    "AppListResponse": "apps",
    "AppListResponse.AppListItem": (
        "app_id created_at description metadata n_running_tasks name state stopped_at"
    ),
    "AppPublishRequest": (
        "app_id app_state class_ids commit_info definition_ids deployment_tag function_ids "
        "name tags"
    ),
    "AppPublishResponse": "deployed_at url",
    "AppRollbackRequest": "app_id version",
    "AppRollbackResponse": "deployed_at url",
    "AppRolloverRequest": "app_id",
    "AppRolloverResponse": "deployed_at url",
    "AppSetTagsRequest": "app_id tags",
    "AppStopRequest": "app_id",
    "Asgi": "http_request http_response_body http_response_start",
    "Asgi.HttpRequest": "body more_body",
    "Asgi.HttpResponseBody": "body more_body",
    "Asgi.HttpResponseStart": "headers status",
    "AutoscalerConfiguration": "override_settings settings static_settings",
    "AutoscalerSettings": "buffer_containers max_containers min_containers scaledown_window",
    "BaseImage": "image_id",
    "BlobCreateRequest": "content_length content_md5",
    "BlobCreateResponse": "blob_id blob_ids upload_url upload_urls",
    "BlobGetRequest": "blob_id",
    "BlobGetResponse": "download_url",
    "CancelInputEvent": "input_ids",
    "ClassCreateRequest": "app_id existing_class_id",
    "ClassCreateResponse": "class_id handle_metadata",
    "ClassGetRequest": "app_name app_version environment_name object_tag",
    "ClassGetResponse": "class_id handle_metadata",
    "ClassHandleMetadata": "",
    "ClientHelloResponse": "image_builder_version",
    "CloudBucketMount": "bucket_name key_prefix mount_path",
    "ContainerArguments": (
        "app_id app_layout environment_name function_def function_id serialized_params task_id"
    ),
    "ContainerHeartbeatRequest": "",
    "ContainerHeartbeatResponse": "cancel_input_event",
    "ContainerStopRequest": "graceful task_id",
    "ContainerStopResponse": "",
    "CreationInfo": "created_at created_by",
    "DataChunk": "data data_format index",
    "EnvironmentCreateRequest": "name",
    "EnvironmentGetOrCreateRequest": "deployment_name object_creation_type",
    "EnvironmentGetOrCreateResponse": "environment_id metadata",
    "EnvironmentListItem": "default name",
    "EnvironmentListResponse": "items",
    "EnvironmentMetadata": "name settings",
    "EnvironmentSettings": "image_builder_version",
    "FileEntry": "mtime path size type",
    "Function": (
        "app_name autoscaler_settings batch_linger_ms batch_max_size class_parameter_info "
        "class_serialized cloud_bucket_mounts cloud_provider_str definition_type "
        "function_name function_schema function_serialized function_type image_id "
        "implementation_name is_class max_concurrent_inputs method_definitions module_name "
        "mount_ids resources retry_policy schedule scheduler_placement secret_ids "
        "single_use_containers startup_timeout_secs supported_input_formats "
        "supported_output_formats target_concurrent_inputs timeout_secs volume_mounts "
        "webhook_config"
    ),
    "FunctionBindParamsRequest": "function_id function_options serialized_params",
    "FunctionBindParamsResponse": "bound_function_id handle_metadata",
    "FunctionCallCallGraphInfo": "function_call_id function_name module_name parent_input_id",
    "FunctionCallCancelRequest": "function_call_id terminate_containers",
    "FunctionCallFromIdRequest": "function_call_id",
    "FunctionCallFromIdResponse": "function_call_id metadata num_inputs",
    "FunctionCallGetDataRequest": "function_call_id last_index",
    "FunctionCallGetInfoRequest": "function_call_id",
    "FunctionCallGetInfoResponse": "info",
    "FunctionCallHandleMetadata": "app_id function_id",
    "FunctionCallInfo": (
        "cancelled_inputs created_at failed_inputs function_call_id pending_inputs "
        "succeeded_inputs timeout_inputs total_inputs"
    ),
    "FunctionCallPutDataRequest": "data_chunks",
    "FunctionCreateRequest": "app_id existing_function_id function function_data",
    "FunctionCreateResponse": "function function_data function_id handle_metadata",
    "FunctionData": "function_name ranked_functions web_url webhook_config",
    "FunctionData.RankedFunction": "function rank",
    "FunctionFinishInputsRequest": "function_call_id",
    "FunctionGetByIdRequest": "function_id",
    "FunctionGetByIdResponse": "function handle_metadata",
    "FunctionGetCallGraphRequest": "function_call_id",
    "FunctionGetCallGraphResponse": "function_calls inputs",
    "FunctionGetCurrentStatsRequest": "function_id",
    "FunctionGetDynamicConcurrencyRequest": "",
    "FunctionGetDynamicConcurrencyResponse": "concurrency",
    "FunctionGetInputsItem": (
        "function_call_id function_call_invocation_type function_map_idx input input_id "
        "kill_switch retry_count"
    ),
    "FunctionGetInputsRequest": "batch_linger_ms batch_max_size",
    "FunctionGetInputsResponse": "inputs",
    "FunctionGetOutputsItem": (
        "data_format idx input_id input_started_at output_created_at result retry_count task_id"
    ),
    "FunctionGetOutputsRequest": (
        "clear_on_success end_idx function_call_id last_entry_id max_values start_idx timeout"
    ),
    "FunctionGetOutputsResponse": "idxs last_entry_id num_unfinished_inputs outputs",
    "FunctionGetRequest": "app_name app_version environment_name object_tag",
    "FunctionGetResponse": "function function_id handle_metadata",
    "FunctionGetSchedulingParamsRequest": "function_id",
    "FunctionGetSchedulingParamsResponse": "autoscaler_configuration",
    "FunctionHandleMetadata": (
        "app_id definition_id function_name function_schema function_type is_method "
        "supported_input_formats supported_output_formats use_method_name web_url"
    ),
    "FunctionInput": "args args_blob_id data_format method_name",
    "FunctionLookupError": "reason",
    "FunctionMapRequest": (
        "function_call_invocation_type function_call_type function_id parent_input_id "
        "pipelined_inputs"
    ),
    "FunctionMapResponse": (
        "function_call_id function_call_jwt max_inputs_outstanding pipelined_inputs "
        "retry_policy sync_client_retries_enabled"
    ),
    "FunctionOptions": (
        "buffer_containers concurrency_limit replace_secret_ids resources secret_ids "
        "task_idle_timeout_secs timeout_secs warm_pool_size"
    ),
    "FunctionPrecreateRequest": (
        "app_id existing_function_id function_name function_schema function_type "
        "method_definitions supported_input_formats supported_output_formats webhook_config"
    ),
    "FunctionPrecreateResponse": "function_id handle_metadata",
    "FunctionPutInputsItem": "idx input",
    "FunctionPutInputsRequest": "function_call_id inputs",
    "FunctionPutInputsResponse": "inputs",
    "FunctionPutInputsResponseItem": "idx input_id input_jwt",
    "FunctionPutOutputsItem": "data_format input_id input_started_at result",
    "FunctionPutOutputsRequest": "outputs",
    "FunctionRetryInputsItem": "input_jwt retry_count",
    "FunctionRetryInputsRequest": "inputs",
    "FunctionRetryInputsResponse": "input_jwts",
    "FunctionRetryPolicy": "backoff_coefficient initial_delay_ms max_delay_ms retries",
    "FunctionStats": "backlog input_headroom num_running_inputs num_total_tasks",
    "FunctionUpdateSchedulingParamsRequest": "function_id settings",
    "FunctionUpdateSchedulingParamsResponse": "current_settings",
    "GPUConfig": "count gpu_type",
    "GenericResult": "data exception exitcode status",
    "Image": "base_images context_mount_id dockerfile_commands",
    "ImageFromIdRequest": "image_id",
    "ImageFromIdResponse": "image_id metadata",
    "ImageGetByTagRequest": "tag",
    "ImageGetByTagResponse": "image_id",
    "ImageGetOrCreateRequest": "builder_version force_build ignore_cache image",
    "ImageGetOrCreateResponse": "image_id metadata result",
    "ImageJoinStreamingRequest": "image_id last_entry_id",
    "ImageJoinStreamingResponse": "entry_id eof metadata result task_logs",
    "ImageMetadata": "image_builder_version workdir",
    "ImagePublishRequest": "image_id tag",
    "ImagePublishResponse": "image_id",
    "InputCallGraphInfo": "function_call_id input_id status task_id",
    "InputCategoryInfo": "total",
    "MethodDefinition": (
        "function_name function_schema function_type supported_input_formats "
        "supported_output_formats"
    ),
    "MountBatchedCheckExistenceRequest": "sha256_hex_hashes",
    "MountBatchedCheckExistenceResponse": "missing_sha256_hex_hashes",
    "MountFile": "filename mode sha256_hex",
    "MountGetOrCreateRequest": "deployment_name environment_name files namespace",
    "MountGetOrCreateResponse": "handle_metadata mount_id",
    "MountHandleMetadata": "content_checksum_sha256_hex",
    "MountPutFileRequest": "data data_blob_id sha256_hex",
    "MountPutFileResponse": "exists",
    "Object": "class_handle_metadata function_handle_metadata object_id",
    "RPCRetryPolicy": "retry_after_secs",
    "RPCStatus": "code details message",
    "Resources": "ephemeral_disk_mb gpu_config",
    "Schedule": "cron period",
    "Schedule.Cron": "cron_string timezone",
    "Schedule.Period": "days hours minutes months seconds weeks years",
    "SchedulerPlacement": "regions",
    "SecretDeleteRequest": "secret_id",
    "SecretGetInfoRequest": "secret_id",
    "SecretGetInfoResponse": "metadata",
    "SecretGetOrCreateRequest": (
        "deployment_name env_dict environment_name object_creation_type required_keys"
    ),
    "SecretGetOrCreateResponse": "metadata secret_id",
    "SecretListItem": "created_at environment_name label last_used_at metadata secret_id",
    "SecretListRequest": "environment_name pagination",
    "SecretListResponse": "environment_name items",
    "SecretMetadata": "creation_info environment_name keys name",
    "SecretUpdateRequest": "secret_id updates",
    "SecretUpdateRequest.Update": "key value",
    "TaskListRequest": "app_id",
    "TaskListResponse": "tasks",
    "TaskLogs": "container_id data file_descriptor timestamp timestamp_ns",
    "TaskLogsBatch": "app_done entry_id function_id items root_function_id task_id",
    "TaskResultRequest": "result",
    "TaskStats": "app_description app_id enqueued_at started_at task_id",
    "UploadUrlList": "items",
    "VolumeCommitRequest": "",
    "VolumeCommitResponse": "skip_reload",
    "VolumeDeleteRequest": "volume_id",
    "VolumeGetByIdRequest": "volume_id",
    "VolumeGetByIdResponse": "metadata volume_id",
    "VolumeGetFile2Request": "len path start volume_id",
    "VolumeGetFile2Response": "get_urls len size start",
    "VolumeGetFileRequest": "len path start volume_id",
    "VolumeGetFileResponse": "data len size start",
    "VolumeGetOrCreateRequest": "deployment_name environment_name object_creation_type",
    "VolumeGetOrCreateResponse": "metadata version volume_id",
    "VolumeHeartbeatRequest": "",
    "VolumeListFilesRequest": "path recursive volume_id",
    "VolumeListFilesResponse": "entries",
    "VolumeListItem": "created_at label metadata volume_id",
    "VolumeListRequest": "environment_name pagination",
    "VolumeListResponse": "environment_name items",
    "VolumeMetadata": "creation_info name version",
    "VolumeMount": "mount_path sub_path volume_id",
    "VolumePutFilesRequest": "disallow_overwrite_existing_files files volume_id",
    "VolumeReloadRequest": "",
    "VolumeRemoveFileRequest": "path recursive volume_id",
    "VolumeRenameRequest": "name volume_id",
    "WebhookConfig": "requires_proxy_auth type",
    "WorkspaceNameLookupResponse": "username workspace_name",
}
"""Message -> its fields that are read or written; a nested message with its dots."""

IGNORED = """
    _experimental_buffer_containers _experimental_concurrent_cancellations
    _experimental_custom_scaling _experimental_enable_gpu_snapshot _experimental_fabric_size
    _experimental_group_size _experimental_task_templates _experimental_task_templates_enabled
    block_network checkpoint checkpointing_enabled cloud_provider concurrency_limit
    custom_domain_info enable_gpu_snapshot experimental_options flash_service_label
    flash_service_urls http_config i6pn_enabled is_auto_snapshot is_builder_function
    is_checkpointing_function is_method is_server is_sessioned max_inputs method_definitions_set
    mount_client_dependencies network_access object_dependencies proxy_id pty_info rate_limit
    routing_region runtime runtime_debug runtime_perf_record s3_mounts shared_volume_mounts
    snapshot_debug task_idle_timeout_secs untrusted warm_pool_size web_url web_url_info
    worker_id
"""
"""Fields of ``Function`` that are taken and have no effect here; others are refused."""
